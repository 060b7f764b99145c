#include "shoal/transport/packet.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/system_error.h"

namespace shoal {
namespace {

absl::Status PeerGone(int fd) {
  absl::StatusOr<ucred> peer = PeerCredentials(fd);
  return absl::UnavailableError(absl::StrCat(
      "the peer (", peer.ok() ? Describe(*peer) : "pid unknown", ") closed the connection"));
}

absl::Status SendError(int fd, size_t bytes, int error) {
  switch (error) {
    case EAGAIN:
      return absl::ResourceExhaustedError(
          "the connection's socket is full: the peer does not read it");
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
      return PeerGone(fd);
    case ETOOMANYREFS:
      return absl::ResourceExhaustedError(absl::StrCat(
          "this user has more descriptors on their way through sockets than RLIMIT_NOFILE, which "
          "is ",
          SoftLimit(RLIMIT_NOFILE), ": raise it (ulimit -n), or let peers receive some first"));
    case EMSGSIZE: {
      int buffer = 0;
      socklen_t length = sizeof(buffer);
      getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, &length);
      return absl::InvalidArgumentError(absl::StrCat("a packet of ", bytes,
                                                     " bytes is more than the socket's buffer of ",
                                                     buffer, " bytes (SO_SNDBUF) holds"));
    }
    case EPERM:
      return absl::PermissionDeniedError(
          "sending a packet: the peer takes no descriptors, or this process may not send them");
    case EBADF:
      return absl::InvalidArgumentError(
          "sending a packet: the socket or a descriptor to be sent is not open");
    default:
      return SystemError(error, "sending a packet");
  }
}

// Room for what accompanies a packet's bytes, as the kernel lays it out.
struct ControlBuffer {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(ucred)) +
                                             CMSG_SPACE(kMaxPacketFds * sizeof(int))> bytes;
};

// Puts `data` behind what accompanies `message` already.
void AddControl(msghdr& message, ControlBuffer& buffer, int type, std::span<const std::byte> data) {
  auto* const part = reinterpret_cast<cmsghdr*>(buffer.bytes.data() + message.msg_controllen);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = type;
  part->cmsg_len = CMSG_LEN(data.size());
  memcpy(CMSG_DATA(part), data.data(), data.size());
  message.msg_control = buffer.bytes.data();
  message.msg_controllen += CMSG_SPACE(data.size());
}

absl::Status TooMuch(const ucred& sender, std::string_view what, size_t limit) {
  return absl::DataLossError(absl::StrCat("a packet with ", std::string(what), " came from ",
                                          Describe(sender), ", expected at most ", limit));
}

}  // namespace

PacketControl TakeControl(msghdr& message) {
  PacketControl control;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET) {
      continue;
    }
    if (part->cmsg_type == SCM_CREDENTIALS) {
      memcpy(&control.sender.emplace(), CMSG_DATA(part), sizeof(ucred));
    } else if (part->cmsg_type == SCM_RIGHTS) {
      const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        int fd = -1;
        memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
        control.fds.emplace_back(fd);
      }
    }
  }
  return control;
}

bool CanHaveAnotherFd(int fd) { return bool{UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0))}; }

absl::Status FdRefused(std::string_view sender) {
  return absl::PermissionDeniedError(absl::StrCat(
      "the system refuses this process a descriptor that came from ", std::string(sender),
      ", though RLIMIT_NOFILE, which is ", SoftLimit(RLIMIT_NOFILE),
      ", has room for it: look at the policy of the security module (SELinux, AppArmor, Smack)"));
}

absl::Status SendPacket(int fd, std::span<const std::byte> bytes, std::span<const int> fds,
                        const std::optional<ucred>& as) {
  if (bytes.empty()) {
    return absl::InvalidArgumentError(
        "a packet without a byte looks like the connection's end: send at least one");
  }
  if (fds.size() > kMaxPacketFds) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a packet with ", fds.size(), " descriptors: the kernel takes at most ", kMaxPacketFds));
  }
  iovec payload{const_cast<std::byte*>(bytes.data()), bytes.size()};
  ControlBuffer control{};
  msghdr message{};
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  if (as) {
    AddControl(message, control, SCM_CREDENTIALS, std::as_bytes(std::span(&*as, 1)));
  }
  if (!fds.empty()) {
    AddControl(message, control, SCM_RIGHTS, std::as_bytes(fds));
  }
  while (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno != EINTR) {
      return SendError(fd, bytes.size(), errno);
    }
  }
  return absl::OkStatus();
}

ssize_t ReceiveMessage(int fd, msghdr& message, int flags) {
  ssize_t received;
  do {
    received = recvmsg(fd, &message, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (received < 0 && (errno == EINTR || errno == ECONNRESET));
  return received;
}

std::optional<std::vector<std::byte>> PeekPacket(int fd, size_t max_bytes) {
  std::vector<std::byte> bytes(max_bytes);
  iovec payload{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  const ssize_t received = ReceiveMessage(fd, message, MSG_PEEK);
  if (received < 0 && errno == EAGAIN) {
    return std::nullopt;
  }
  bytes.resize(static_cast<size_t>(std::max<ssize_t>(received, 0)));
  return bytes;
}

absl::StatusOr<std::optional<Packet>> ReceivePacket(int fd, size_t max_bytes, size_t max_fds,
                                                    MoreFds more_fds) {
  max_fds = std::min(max_fds, kMaxPacketFds);
  std::vector<std::byte> bytes(max_bytes);
  iovec payload{bytes.data(), bytes.size()};
  ControlBuffer buffer;
  msghdr message{};
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  message.msg_control = buffer.bytes.data();
  message.msg_controllen =
      CMSG_SPACE(sizeof(ucred)) + (max_fds > 0 ? CMSG_SPACE(max_fds * sizeof(int)) : 0);
  // With MSG_TRUNC the result is the packet's length, also if it did not fit.
  const ssize_t received = ReceiveMessage(fd, message, MSG_TRUNC);
  if (received < 0 && errno == EAGAIN) {
    return std::nullopt;
  }
  if (received < 0) {
    return SystemError(errno, "receiving a packet");
  }

  // From here on the descriptors are owned, so each error closes them.
  const size_t length = static_cast<size_t>(received);
  PacketControl control = TakeControl(message);
  if (!control.sender && length == 0) {
    return PeerGone(fd);
  }
  if (!control.sender) {
    return absl::FailedPreconditionError(
        "a packet came without its sender: this socket lacks SO_PASSCRED");
  }
  if (length == 0) {
    return absl::DataLossError(
        absl::StrCat("a packet of 0 bytes came from ", Describe(*control.sender)));
  }
  if (length > max_bytes) {
    return TooMuch(*control.sender, absl::StrCat(length, " bytes"), max_bytes);
  }
  const bool fds_lost = (message.msg_flags & MSG_CTRUNC) != 0;
  if (fds_lost && control.fds.size() < max_fds && CanHaveAnotherFd(fd)) {
    return FdRefused(Describe(*control.sender));
  }
  if (fds_lost && control.fds.size() < max_fds) {
    return SystemError(EMFILE, "receiving a packet's descriptors");
  }
  // Alignment may leave room for one more than was asked for.
  if (more_fds == MoreFds::kRefuse && (fds_lost || control.fds.size() > max_fds)) {
    return TooMuch(*control.sender, "more descriptors", max_fds);
  }
  bytes.resize(length);
  return Packet{std::move(bytes), std::move(control.fds), *control.sender};
}

}  // namespace shoal
