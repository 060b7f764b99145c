#include "shoal/transport/socket_listener.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/transport/channel_errors.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/same_user.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/socket_channel.h"
#include "shoal/transport/stream_socket.h"

namespace shoal {
namespace {

// By the kernel's word over a Unix socket; over TCP nobody knows.
Peer PeerBehind(int fd, std::string address, Address::Kind kind) {
  Peer peer = {.address = std::move(address), .uid = kNoUid};
  if (kind == Address::Kind::kUnix) {
    const absl::StatusOr<ucred> process = PeerCredentials(fd);
    peer.pid = process.ok() ? process->pid : 0;
    peer.uid = process.ok() && !IsUnknownUser(process->uid) ? process->uid : kNoUid;
  }
  return peer;
}

Address::Kind KindOf(const std::string& address) {
  return address.rfind("unix:", 0) == 0 ? Address::Kind::kUnix : Address::Kind::kTcp;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SocketListener>> SocketListener::Listen(
    const Address& address, const ChannelOptions& options) {
  absl::StatusOr<UniqueFd> socket = ListenStream(address);
  if (!socket.ok()) {
    return socket.status();
  }
  std::string text =
      address.port() == 0 ? LocalName(socket->get(), address.text()) : address.text();
  return std::unique_ptr<SocketListener>(
      new SocketListener(*std::move(socket), std::move(text), options));
}

absl::StatusOr<std::unique_ptr<Channel>> SocketListener::Accept(absl::Duration timeout) {
  const Deadline deadline = Deadline::After(timeout);
  while (true) {
    absl::StatusOr<std::optional<UniqueFd>> socket = AcceptOnce(socket_.get());
    if (!socket.ok()) {
      return socket.status();
    }
    if (*socket) {
      const int fd = (*socket)->get();
      return SocketChannel::Create(**std::move(socket),
                                   PeerBehind(fd, RemoteName(fd, address_), KindOf(address_)),
                                   options_);
    }
    if (!WaitReadable(socket_.get(), deadline).ok()) {
      return NoClientCame(address_, timeout);
    }
  }
}

absl::StatusOr<std::unique_ptr<Channel>> TryConnectSocket(const Address& address,
                                                          const ChannelOptions& options,
                                                          const Deadline& deadline) {
  absl::StatusOr<UniqueFd> socket = DialStream(address, deadline);
  if (!socket.ok()) {
    return socket.status();
  }
  const Peer peer = PeerBehind(socket->get(), address.text(), address.kind());
  return SocketChannel::Create(*std::move(socket), peer, options);
}

}  // namespace shoal
