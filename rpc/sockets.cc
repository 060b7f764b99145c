#include "shoal/rpc/sockets.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "shoal/rpc/exception.h"
#include "shoal/transport/address.h"
#include "shoal/transport/same_user.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/stream_socket.h"

namespace shoal {
namespace {

Address parse(kj::StringPtr text) {
  auto address = Address::Parse({text.begin(), text.size()});
  if (!address.ok()) {
    kj::throwFatalException(SHOAL_EXCEPTION(address.status()));
  }
  return *kj::mv(address);
}

kj::AutoCloseFd unwrap(absl::StatusOr<UniqueFd> socket) {
  if (!socket.ok()) {
    kj::throwFatalException(SHOAL_EXCEPTION(socket.status()));
  }
  return kj::AutoCloseFd(socket->Release());
}

bool isBecauseOf(int error, const kj::Exception& exception) {
  // KJ has the kernel's word for it in its text alone.
  return strstr(exception.getDescription().cStr(), strerror(error)) != nullptr;
}

}  // namespace

bool isUnixAddress(kj::StringPtr address) {
  return address.startsWith("unix:");
}

kj::AutoCloseFd listenAtUnixAddress(kj::StringPtr address) {
  return unwrap(ListenStream(parse(address)));
}

kj::AutoCloseFd connectToUnixAddress(kj::StringPtr address) {
  return unwrap(DialOnce(parse(address).socket_name(), SOCK_STREAM));
}

kj::Exception cannotListen(kj::StringPtr address, const kj::Exception& reason) {
  if (isBecauseOf(EADDRINUSE, reason)) {
    return SHOAL_EXCEPTION(absl::AlreadyExistsError(absl::StrCat(
        address.cStr(), " is already served: stop that server or choose another port")));
  }
  return kj::Exception(reason.getType(), __FILE__, __LINE__,
                       kj::str(address, ": ", reason.getDescription()));
}

kj::Exception cannotConnect(kj::StringPtr address, const kj::Exception& reason) {
  if (isBecauseOf(ECONNREFUSED, reason)) {
    return SHOAL_EXCEPTION(absl::UnavailableError(
        absl::StrCat("nobody listens on ", address.cStr(), " (yet): start its server")));
  }
  return SHOAL_EXCEPTION(
      absl::UnavailableError(absl::StrCat(address.cStr(), ": ", reason.getDescription().cStr())));
}

Peer peerBehind(kj::AsyncIoStream& stream, kj::StringPtr address) {
  Peer peer = {.address = address.cStr(), .pid = 0, .uid = kNoUid};
  KJ_IF_MAYBE (fd, stream.getFd()) {
    const absl::StatusOr<ucred> credentials = PeerCredentials(*fd);
    // Over TCP the kernel answers with nobody's: no process has the id 0.
    if (credentials.ok() && credentials->pid != 0) {
      peer.pid = credentials->pid;
      peer.uid = IsUnknownUser(credentials->uid) ? kNoUid : credentials->uid;
    }
  }
  return peer;
}

}  // namespace shoal
