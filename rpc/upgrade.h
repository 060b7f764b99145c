#pragma once
// How a client of a TCP port finds that its server offers shared memory.

#include <sys/socket.h>
#include <sys/types.h>

#include <vector>

#include "kj/array.h"
#include "kj/common.h"
#include "kj/string.h"
#include "shoal/transport/options.h"

namespace shoal {

// A server that listens on TCP listens on a name of `shm:` too, which says the address that its
// socket is bound to. Abstract sockets and TCP ports have the same scope, the network namespace,
// and the name contains the server's user id, so a name leads to the process that has the port, or
// to another one of the same user.

kj::Maybe<kj::String> sharedMemoryOffer(const struct sockaddr& bound);
// The `shm:` address that goes with a TCP socket that is bound to `bound`; nothing for another kind
// of socket.

kj::Array<kj::String> sharedMemoryOffers(kj::StringPtr addresses,
                                         const std::vector<uid_t>& otherUids = {});
// Where to look for the server of `addresses`, which kj::NetworkAddress::toString() gave: nowhere
// if they are not this machine's. In the order of the kernel's choice between listening sockets,
// the address itself before any address; and for each, this user's server before those of
// `otherUids`.

ChannelOptions forUpgrade(ChannelOptions options, Trust upgradeTrust);
// Those of a connection that takes the place of one over TCP: see RpcServerOptions::upgradeTrust.

}  // namespace shoal
