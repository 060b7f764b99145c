#pragma once
// One connection for RPC, over shared memory or over a stream, in a KJ event loop of the program's
// own.

#include "capnp/message.h"
#include "capnp/rpc-twoparty.h"
#include "capnp/rpc.h"
#include "kj/async-io.h"
#include "kj/function.h"
#include "kj/memory.h"
#include "shoal/rpc/poller.h"
#include "shoal/transport/channel.h"

namespace shoal {

struct Vat {
  // The two kinds differ in their network only; the RPC system on it is the same:
  //
  //     Vat vat = newVat(poller, connectChannel(port, "shm:name", forRpc({})).wait(waitScope),
  //                      Side::CLIENT);
  //     auto rpcSystem = capnp::makeRpcClient(*vat.network);

  kj::Own<capnp::TwoPartyVatNetworkBase> network;
  kj::Promise<void> disconnected;
  // Resolves when the RPC system has let go of the connection, because the peer ended it or died.

  kj::Function<void()> drain;
  // From the call on, the connection ends as soon as each call that has come over it is answered.
  // The peer sees that as a disconnect. May be called while `network` is there.

  kj::Function<bool()> isLost;
  // Whether the RPC system has given the connection up, so that every call over it fails. True by
  // the time that a caller hears of it, which is before `disconnected` resolves. May be called
  // while `network` is there.
};

bool isShmAddress(kj::StringPtr address);
// Whether `address` leads to shared memory, rather than to what kj::Network knows.

ChannelOptions forRpc(ChannelOptions options,
                      capnp::ReaderOptions readerOptions = capnp::ReaderOptions());
// The same options with what an event loop needs, with the protocol that RpcServer and RpcClient
// speak unless the user has chosen another, and with `readerOptions`, which are newVat()'s: the
// peer is told of their traversal limit, and sends no message that is larger.

Vat newVat(Poller& poller, kj::Own<Channel> channel, capnp::rpc::twoparty::Side side,
           capnp::ReaderOptions readerOptions = capnp::ReaderOptions());
Vat newVat(kj::Own<kj::AsyncIoStream> stream, capnp::rpc::twoparty::Side side,
           capnp::ReaderOptions readerOptions = capnp::ReaderOptions(),
           kj::Maybe<Peer> peer = nullptr);
// `peer`, if it is given, is named by the exceptions that pending calls fail with at its end, as it
// always is over a channel.

capnp::Capability::Client bootstrapServer(capnp::RpcSystem<capnp::rpc::twoparty::VatId>& rpcSystem);
// The main interface of the server that a client's RPC system is connected with.

}  // namespace shoal
