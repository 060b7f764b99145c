#pragma once
// Servers and clients at addresses of sockets, with the errors of docs/errors.md where KJ's name no
// address.

#include "kj/async-io.h"
#include "kj/exception.h"
#include "kj/io.h"
#include "kj/string.h"
#include "shoal/transport/peer.h"

namespace shoal {

bool isUnixAddress(kj::StringPtr address);
// Whether `address` is `unix:PATH`.

kj::AutoCloseFd listenAtUnixAddress(kj::StringPtr address);
// Listens when it returns. The file that a killed server has left is reclaimed, as Listen() of the
// transport does; that of a live one is not.

kj::AutoCloseFd connectToUnixAddress(kj::StringPtr address);
// Tries once, and does not block.

kj::Exception cannotListen(kj::StringPtr address, const kj::Exception& reason);
kj::Exception cannotConnect(kj::StringPtr address, const kj::Exception& reason);
// What to say when KJ's network could not, at a TCP address.

Peer peerBehind(kj::AsyncIoStream& stream, kj::StringPtr address);
// Who is at the other end: over a Unix socket with the process and user id that the kernel vouches
// for.

}  // namespace shoal
