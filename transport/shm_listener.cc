#include "shoal/transport/shm_listener.h"

#include <poll.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "shoal/transport/socket.h"

namespace shoal {
namespace {

constexpr auto kLongestPoll = std::chrono::hours(1);

}  // namespace

absl::StatusOr<std::unique_ptr<ShmListener>> ShmListener::Listen(const Address& address,
                                                                 const ChannelOptions& options) {
  absl::StatusOr<UniqueFd> socket = ListenOn(address.socket_name());
  if (!socket.ok()) {
    return socket.status();
  }
  return std::unique_ptr<ShmListener>(new ShmListener(*std::move(socket), address, options));
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
      return absl::DeadlineExceededError(absl::StrCat("no client connected to ", address_.text(),
                                                      " within ", absl::FormatDuration(timeout)));
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
    greeting_.push_back({.handshake = **std::move(handshake),
                         .deadline = Deadline::After(options_.connect_timeout)});
  }
}

std::unique_ptr<Channel> ShmListener::FinishOne() {
  for (auto it = greeting_.begin(); it != greeting_.end();) {
    absl::StatusOr<std::unique_ptr<Channel>> channel = it->handshake.Finish();
    if (channel.ok() && *channel == nullptr && !it->deadline.passed()) {
      ++it;
      continue;
    }
    it = greeting_.erase(it);
    if (channel.ok() && *channel != nullptr) {
      return *std::move(channel);
    }
  }
  return nullptr;
}

void ShmListener::WaitForAny(const Deadline& deadline) {
  std::vector<pollfd> sockets = {{.fd = fd(), .events = POLLIN, .revents = 0}};
  Deadline::Clock::duration left = deadline.Left(kLongestPoll);
  for (const Greeting& greeting : greeting_) {
    sockets.push_back({.fd = greeting.handshake.fd(), .events = POLLIN, .revents = 0});
    left = greeting.deadline.Left(left);
  }
  const timespec timeout = ToTimespec(left);
  ppoll(sockets.data(), sockets.size(), &timeout, nullptr);
}

}  // namespace shoal
