#include "shoal/transport/stream_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/system_error.h"

namespace shoal {
namespace {

constexpr auto kLongestPoll = std::chrono::hours(1);

struct FreeAddresses {
  void operator()(addrinfo* addresses) const { freeaddrinfo(addresses); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

absl::StatusOr<Addresses> Resolve(const Address& address, int flags) {
  if (!address.port()) {
    return absl::InvalidArgumentError(
        absl::StrCat("address \"", address.text(),
                     "\" has no PORT; write HOST:PORT, or shm:NAME, or unix:PATH"));
  }
  const bool any = address.host() == "*";
  addrinfo hints{};
  hints.ai_flags = flags | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(any ? nullptr : address.host().c_str(),
                                absl::StrCat(*address.port()).c_str(), &hints, &found);
  if (error == EAI_AGAIN || error == EAI_SYSTEM) {
    return absl::UnavailableError(
        absl::StrCat(address.text(), ": looking up the host: ", gai_strerror(error)));
  }
  if (error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(address.text(), ": looking up the host: ", gai_strerror(error)));
  }
  return Addresses(found);
}

void Set(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof(value));
}

absl::StatusOr<UniqueFd> NewSocket(const addrinfo& address) {
  UniqueFd fd(socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    return SystemError(errno, "creating a socket");
  }
  Set(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);  // accepted sockets inherit it
  return fd;
}

absl::Status BindError(const Address& address, int error) {
  switch (error) {
    case EADDRINUSE:
      return absl::AlreadyExistsError(absl::StrCat(
          address.text(), " is already served: stop that server or choose another port"));
    case EADDRNOTAVAIL:
      return absl::InvalidArgumentError(
          absl::StrCat(address.text(), ": this machine does not have that address"));
    default:
      return SystemError(error, absl::StrCat(address.text(), ": listening"));
  }
}

absl::StatusOr<UniqueFd> BindAndListen(const Address& address, const addrinfo& candidate) {
  absl::StatusOr<UniqueFd> listener = NewSocket(candidate);
  if (!listener.ok()) {
    return listener;
  }
  Set(listener->get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (candidate.ai_family == AF_INET6) {
    Set(listener->get(), IPPROTO_IPV6, IPV6_V6ONLY, address.host() == "*" ? 0 : 1);
  }
  if (bind(listener->get(), candidate.ai_addr, candidate.ai_addrlen) != 0 ||
      listen(listener->get(), SOMAXCONN) != 0) {
    return BindError(address, errno);
  }
  return listener;
}

absl::Status DialError(const Address& address, int error) {
  switch (error) {
    case ECONNREFUSED:
      return absl::UnavailableError(
          absl::StrCat("nobody listens on ", address.text(), " (yet): start its server"));
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ETIMEDOUT:
    case ECONNRESET:
      return absl::UnavailableError(absl::StrCat(address.text(), ": ", strerror(error)));
    default:
      return SystemError(error, absl::StrCat(address.text(), ": connecting"));
  }
}

// 0, or why it is not connected.
int FinishConnecting(int fd, const Deadline& deadline) {
  pollfd socket = {.fd = fd, .events = POLLOUT, .revents = 0};
  int ready = 0;
  do {
    const timespec timeout = ToTimespec(deadline.Left(kLongestPoll));
    ready = ppoll(&socket, 1, &timeout, nullptr);
  } while (ready <= 0 && !deadline.passed());
  if (ready <= 0) {
    return EINPROGRESS;
  }
  int error = 0;
  socklen_t length = sizeof(error);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

// Who dials a free port of his own machine can be given that port himself, and TCP then connects
// the socket with itself.
bool IsConnectedToItself(int fd) {
  sockaddr_storage own{};
  sockaddr_storage peer{};
  socklen_t own_length = sizeof(own);
  socklen_t peer_length = sizeof(peer);
  return getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_length) == 0 &&
         getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_length) == 0 &&
         own_length == peer_length && memcmp(&own, &peer, own_length) == 0;
}

absl::StatusOr<UniqueFd> Dial(const Address& address, const addrinfo& candidate,
                              const Deadline& deadline) {
  absl::StatusOr<UniqueFd> fd = NewSocket(candidate);
  if (!fd.ok()) {
    return fd;
  }
  int error = connect(fd->get(), candidate.ai_addr, candidate.ai_addrlen) == 0 ? 0 : errno;
  // Interrupted by a signal, it goes on connecting as well.
  if (error == EINPROGRESS || error == EINTR) {
    error = FinishConnecting(fd->get(), deadline);
  }
  if (error == 0 && IsConnectedToItself(fd->get())) {
    error = ECONNREFUSED;
  }
  if (error == EINPROGRESS) {
    return absl::DeadlineExceededError(
        absl::StrCat(address.text(), " did not answer within ChannelOptions::connect_timeout"));
  }
  return error == 0 ? std::move(fd) : absl::StatusOr<UniqueFd>(DialError(address, error));
}

std::string NameOf(const sockaddr_storage& address, socklen_t length,
                   const std::string& otherwise) {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if ((address.ss_family != AF_INET && address.ss_family != AF_INET6) ||
      getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, host, sizeof(host), port,
                  sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return otherwise;
  }
  return address.ss_family == AF_INET6 ? absl::StrCat("[", host, "]:", port)
                                       : absl::StrCat(host, ":", port);
}

}  // namespace

absl::StatusOr<UniqueFd> ListenStream(const Address& address) {
  if (address.kind() == Address::Kind::kUnix) {
    return ListenOn(address.socket_name(), SOCK_STREAM, std::nullopt);
  }
  const absl::StatusOr<Addresses> found = Resolve(address, AI_PASSIVE);
  if (!found.ok()) {
    return found.status();
  }
  absl::StatusOr<UniqueFd> listener = absl::InvalidArgumentError(address.text());
  for (const int family : {AF_INET6, AF_INET}) {
    for (const addrinfo* it = found->get(); it != nullptr; it = it->ai_next) {
      if (it->ai_family != family) {
        continue;
      }
      listener = BindAndListen(address, *it);
      if (listener.ok() || absl::IsAlreadyExists(listener.status())) {
        return listener;
      }
    }
  }
  return listener;
}

absl::StatusOr<UniqueFd> DialStream(const Address& address, const Deadline& deadline) {
  if (address.kind() == Address::Kind::kUnix) {
    return DialOnce(address.socket_name(), SOCK_STREAM);
  }
  if (address.host() == "*" || address.port() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("address \"", address.text(),
                     "\" is one to listen at; a client needs the server's HOST and PORT"));
  }
  const absl::StatusOr<Addresses> found = Resolve(address, 0);
  if (!found.ok()) {
    return found.status();
  }
  absl::StatusOr<UniqueFd> fd = absl::InvalidArgumentError(address.text());
  for (const addrinfo* it = found->get(); it != nullptr && !fd.ok(); it = it->ai_next) {
    fd = Dial(address, *it, deadline);
  }
  return fd;
}

std::string LocalName(int fd, const std::string& otherwise) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  return getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0
             ? NameOf(address, length, otherwise)
             : otherwise;
}

std::string RemoteName(int fd, const std::string& otherwise) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  return getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0
             ? NameOf(address, length, otherwise)
             : otherwise;
}

}  // namespace shoal
