#pragma once
// How a client of a TCP port finds that its server offers shared memory.

#include <sys/socket.h>
#include <sys/types.h>

#include <vector>

#include "kj/array.h"
#include "kj/async-io.h"
#include "kj/common.h"
#include "kj/string.h"
#include "shoal/transport/options.h"

namespace shoal {

// A server that listens on TCP listens on a name of `shm:` too, which says the address that its
// socket is bound to. Abstract sockets and TCP ports have the same scope, the network namespace,
// and the name contains the server's user id. The name alone does not say that a connection to the
// address leads to its server: another one may listen at a more specific address, or ports are
// redirected. So a client connects by TCP first, and claims that connection when it greets at the
// name; the server there confirms that it has accepted it, or the client stays with TCP.

kj::Maybe<kj::String> sharedMemoryOffer(const struct sockaddr& bound);
// The `shm:` address that goes with a TCP socket that is bound to `bound`; nothing for another kind
// of socket.

kj::Array<kj::String> sharedMemoryOffers(const struct sockaddr& server,
                                         const std::vector<uid_t>& otherUids = {});
// Where to look for the server that a TCP connection to `server` leads to: nowhere if that is not
// this machine's. In the order of the kernel's choice between listening sockets, the address itself
// before any address; and for each, this user's server before those of `otherUids`.
kj::Array<kj::String> sharedMemoryOffers(kj::AsyncIoStream& toServer,
                                         const std::vector<uid_t>& otherUids = {});
// The same for a connection.

struct TcpConnection {
  // What both ends know of one. Addresses have the same text whether they are IPv4 or IPv4 in IPv6.

  kj::String client;  // "127.0.0.1:4711"
  kj::String server;

  kj::String getClaim() const { return kj::str(client, " to ", server); }
};

kj::Maybe<TcpConnection> tcpConnectionFromClient(kj::AsyncIoStream& stream);
kj::Maybe<TcpConnection> tcpConnectionFromServer(kj::AsyncIoStream& stream);
// The connection of `stream`, looked at from this end or that; nothing if it is none of TCP.

ChannelOptions forUpgrade(ChannelOptions options, Trust upgradeTrust);
// Those of a connection that takes the place of one over TCP: see RpcServerOptions::upgradeTrust.

}  // namespace shoal
