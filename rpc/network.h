#pragma once
// A kj::Network that knows shared memory.

#include "kj/async-io.h"
#include "kj/memory.h"
#include "shoal/rpc/poller.h"
#include "shoal/transport/options.h"

namespace shoal {

kj::Own<kj::Network> newNetwork(kj::AsyncIoContext& io, ChannelOptions options = ChannelOptions());
// Adds `shm:NAME`, `shm:NAME@USER` and `shm:/path` to the addresses of the context's own network,
// so that whatever runs on a kj::AsyncIoStream runs over shared memory by a change of its address:
//
//     auto network = shoal::newNetwork(io);
//     auto address = network->parseAddress("shm:web").wait(io.waitScope);
//     auto stream = address->connect().wait(io.waitScope);
//
// connect() waits for a server that is not there yet until ChannelOptions::connect_timeout.
// Connections are kj::AsyncCapabilityStreams (see ChannelStream), and connectAuthenticated() and
// acceptAuthenticated() give a kj::LocalPeerIdentity with the peer's process and user id. An
// address is of this network's streams alone: RPC clients and servers at `shm:` do not meet them.
//
// For restrictPeers() such an address matches "shm", "unix" ("unix-abstract" if it is no path),
// "local" and "private", the more specific first.
//
// Its other addresses are the context's network's own: listening at `unix:/path` fails where a
// killed server has left its file, which RpcServer reclaims.
//
// `options` are those of each connection; their `when_full`, `reader` and `protocol` are not used.
// `io` must outlive the network and all that came from it. Belongs to the context's thread. One for
// a thread: its connections wait together.

kj::Own<kj::Network> newNetwork(kj::AsyncIoContext& io, Poller& poller,
                                ChannelOptions options = ChannelOptions());
// The same beside other users of the thread's poller, which must outlive all that came from it.

}  // namespace shoal
