#include "shoal/transport/shm_listener.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "shoal/transport/channel_errors.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/system_error.h"

namespace shoal {
namespace {

constexpr auto kLongestPoll = std::chrono::hours(1);

// A closed socket leaves the epoll by itself; one that lives on in a channel has to be taken out.
absl::Status Watch(const UniqueFd& events, int fd) {
  epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
  if (!events || epoll_ctl(events.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return SystemError(errno, "watching the socket of a listener");
  }
  return absl::OkStatus();
}

void Unwatch(const UniqueFd& events, int fd) {
  epoll_ctl(events.get(), EPOLL_CTL_DEL, fd, nullptr);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ShmListener>> ShmListener::Listen(const Address& address,
                                                                 const ChannelOptions& options) {
  absl::StatusOr<UniqueFd> socket = ListenOn(address.socket_name());
  if (!socket.ok()) {
    return socket.status();
  }
  // Who they are is checked when they greet.
  if (address.kind() == Address::Kind::kShmPath && !options.allowed_uids.empty() &&
      chmod(address.socket_name().name.c_str(), 0666) != 0) {
    return SystemError(errno, "letting other users connect to a socket file");
  }
  UniqueFd events(epoll_create1(EPOLL_CLOEXEC));
  if (absl::Status watched = Watch(events, socket->get()); !watched.ok()) {
    return watched;
  }
  return std::unique_ptr<ShmListener>(
      new ShmListener(*std::move(socket), std::move(events), address, options));
}

absl::StatusOr<std::optional<ServerHandshake>> ShmListener::AcceptHandshake() {
  absl::StatusOr<std::optional<UniqueFd>> socket = AcceptOnce(socket_.get());
  if (!socket.ok()) {
    return socket.status();
  }
  if (!*socket) {
    return std::nullopt;
  }
  return ServerHandshake(**std::move(socket), address_, geteuid(), options_);
}

absl::StatusOr<std::unique_ptr<Channel>> ShmListener::Accept(absl::Duration timeout) {
  const Deadline deadline = Deadline::After(timeout);
  while (true) {
    const absl::Status accepted = AcceptAll();
    // Also when that failed: clients that said nothing may be what holds all descriptors.
    if (std::unique_ptr<Channel> channel = FinishOne()) {
      return channel;
    }
    if (!accepted.ok()) {
      return accepted;
    }
    if (deadline.passed()) {
      return NoClientCame(address_.text(), timeout);
    }
    WaitForAny(deadline);
  }
}

absl::Status ShmListener::AcceptAll() {
  while (true) {
    absl::StatusOr<std::optional<ServerHandshake>> handshake = AcceptHandshake();
    if (!handshake.ok() || !*handshake) {
      return handshake.status();
    }
    if (absl::Status watched = Watch(events_, handshake->value().fd()); !watched.ok()) {
      return watched;
    }
    greeting_.push_back({.handshake = **std::move(handshake),
                         .deadline = Deadline::After(options_.connect_timeout)});
  }
}

std::unique_ptr<Channel> ShmListener::FinishOne() {
  for (auto it = greeting_.begin(); it != greeting_.end();) {
    const int fd = it->handshake.fd();
    absl::StatusOr<std::unique_ptr<Channel>> channel = it->handshake.Finish();
    if (channel.ok() && *channel == nullptr && !it->deadline.passed()) {
      ++it;
      continue;
    }
    it = greeting_.erase(it);
    if (channel.ok() && *channel != nullptr) {
      Unwatch(events_, fd);  // its doorbell is no business of the listener's any more
      return *std::move(channel);
    }
  }
  return nullptr;
}

void ShmListener::WaitForAny(const Deadline& deadline) {
  pollfd events = {.fd = doorbell(), .events = POLLIN, .revents = 0};
  Deadline::Clock::duration left = deadline.Left(kLongestPoll);
  for (const Greeting& greeting : greeting_) {
    left = greeting.deadline.Left(left);
  }
  const timespec timeout = ToTimespec(left);
  ppoll(&events, 1, &timeout, nullptr);
}

}  // namespace shoal
