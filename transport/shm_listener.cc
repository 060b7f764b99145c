#include "shoal/transport/shm_listener.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/transport/channel_errors.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/system_error.h"

namespace shoal {
namespace {

constexpr auto kLongestPoll = std::chrono::hours(1);
constexpr int kEventsPerTurn = 16;
constexpr int kMostLateTurns = 64;
constexpr std::string_view kWatching = "watching the socket of a listener";

absl::Status Watch(const UniqueFd& events, int fd) {
  epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
  if (epoll_ctl(events.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return SystemError(errno, kWatching);
  }
  return absl::OkStatus();
}

// A closed socket leaves the epoll by itself only if no forked child has a copy.
void Unwatch(const UniqueFd& events, int fd) {
  epoll_ctl(events.get(), EPOLL_CTL_DEL, fd, nullptr);
}

// Others may connect to the file, and are looked at then.
mode_t ModeOfFile(const ChannelOptions& options) {
  constexpr mode_t kOwn = S_IRUSR | S_IWUSR;
  constexpr mode_t kOthers = S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
  return options.allowed_uids.empty() ? kOwn : kOwn | kOthers;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ShmListener>> ShmListener::Listen(const Address& address,
                                                                 const ChannelOptions& options) {
  if (address.user() && *address.user() != geteuid()) {
    return absl::InvalidArgumentError(
        absl::StrCat("address \"", address.text(), "\" is a name of user id ", *address.user(),
                     ", whose clients refuse a server of user id ", geteuid(),
                     ": listen at a name of its own, or as that user"));
  }
  absl::StatusOr<UniqueFd> socket =
      ListenOn(address.socket_name(), SOCK_SEQPACKET, ModeOfFile(options));
  if (!socket.ok()) {
    return socket.status();
  }
  UniqueFd events(epoll_create1(EPOLL_CLOEXEC));
  if (!events) {
    return CallFailed(errno, "epoll_create1", kWatching);
  }
  if (absl::Status watched = Watch(events, socket->get()); !watched.ok()) {
    return watched;
  }
  return std::unique_ptr<ShmListener>(
      new ShmListener(*std::move(socket), std::move(events), address, options));
}

absl::StatusOr<std::unique_ptr<Channel>> ShmListener::Accept(absl::Duration timeout) {
  const Deadline deadline = Deadline::After(timeout);
  for (int late_turns = 0; true;) {
    // Before the turn, as what had come by the deadline came in time; and what came then may take
    // some turns.
    late_turns += deadline.passed() ? 1 : 0;
    absl::StatusOr<Turn> turn = TakeTurn();
    if (!turn.ok()) {
      return turn.status();
    }
    if (turn->channel != nullptr) {
      return std::move(turn->channel);
    }
    if (turn->claiming) {
      Refused(turn->claiming->RefuseClaim());  // nobody here knows of another connection
    }
    if (late_turns > 0 && (turn->next != Turn::Next::kTurn || late_turns > kMostLateTurns)) {
      return NoClientCame(address_.text(), timeout);
    }
    WaitFor(turn->next, deadline);
  }
}

absl::StatusOr<ShmListener::Turn> ShmListener::TakeTurn() {
  Arrival arrival = DropSilent();
  if (!arrival.empty()) {
    return Turn{.channel = std::move(arrival.channel),
                .claiming = std::move(arrival.claiming),
                .next = Turn::Next::kTurn};
  }
  std::array<epoll_event, kEventsPerTurn> events;
  const int ready = epoll_wait(events_.get(), events.data(), kEventsPerTurn, 0);
  Turn turn;
  turn.next = ready > 0 ? Turn::Next::kTurn : Turn::Next::kWait;
  absl::Status accepted;
  for (int i = 0; i < ready && arrival.empty(); ++i) {
    if (events[i].data.fd != socket_.get()) {
      arrival = Finish(events[i].data.fd);
      continue;
    }
    const absl::StatusOr<TakenIn> taken = TakeIn();
    accepted = taken.status();
    if (taken.ok() && taken->strangers > 0 && !taken->all) {
      turn.next = Turn::Next::kRest;
    }
  }
  if (arrival.empty() && !accepted.ok()) {
    return accepted;
  }
  turn.channel = std::move(arrival.channel);
  turn.claiming = std::move(arrival.claiming);
  return turn;
}

absl::StatusOr<ShmListener::TakenIn> ShmListener::TakeIn() {
  TakenIn taken;
  for (int i = 0; i < kConnectionsPerTurn && !taken.all; ++i) {
    absl::StatusOr<std::optional<UniqueFd>> socket = AcceptConnection();
    if (!socket.ok()) {
      return socket.status();
    }
    if (!*socket) {
      taken.all = true;
      continue;
    }
    absl::StatusOr<ServerHandshake> handshake =
        ServerHandshake::Begin(**std::move(socket), address_, geteuid(), options_);
    if (!handshake.ok()) {
      Refused(handshake.status());
      ++taken.strangers;
      continue;
    }
    if (absl::Status kept = Keep(*std::move(handshake)); !kept.ok()) {
      return kept;
    }
  }
  return taken;
}

absl::StatusOr<std::optional<UniqueFd>> ShmListener::AcceptConnection() {
  absl::StatusOr<std::optional<UniqueFd>> socket = AcceptOnce(socket_.get());
  if (absl::IsResourceExhausted(socket.status()) && !greetings_.empty()) {
    // Those that say nothing may be what holds all descriptors.
    MakeRoom(std::string(socket.status().message()));
    return AcceptOnce(socket_.get());
  }
  return socket;
}

absl::Status ShmListener::Keep(ServerHandshake handshake) {
  if (greetings_.size() >= max_greetings()) {
    MakeRoom(absl::StrCat("more clients than ChannelOptions::max_greetings, ", max_greetings(),
                          ", had connected and not greeted yet"));
  }
  const int fd = handshake.fd();
  if (absl::Status watched = Watch(events_, fd); !watched.ok()) {
    return watched;
  }
  greetings_.push_back(
      {.handshake = std::move(handshake), .deadline = Deadline::After(options_.connect_timeout)});
  by_socket_[fd] = std::prev(greetings_.end());
  return absl::OkStatus();
}

ShmListener::Arrival ShmListener::Finish(int fd) {
  const auto found = by_socket_.find(fd);
  if (found == by_socket_.end()) {
    return {};  // dropped in this turn
  }
  const Greetings::iterator greeting = found->second;
  absl::StatusOr<std::unique_ptr<Channel>> channel = greeting->handshake.Finish();
  const bool claims = !greeting->handshake.claim().empty();
  if (channel.ok() && *channel == nullptr && !claims) {
    return {};
  }
  Arrival arrival;
  if (channel.ok() && claims) {
    arrival.claiming = std::move(greeting->handshake);
  }
  Unwatch(events_, fd);
  by_socket_.erase(found);
  greetings_.erase(greeting);
  if (!channel.ok()) {
    Refused(channel.status());
    return {};
  }
  arrival.channel = *std::move(channel);
  return arrival;
}

ShmListener::Arrival ShmListener::DropSilent() {
  while (!greetings_.empty() && greetings_.front().deadline.passed()) {
    const int fd = greetings_.front().handshake.fd();
    if (Arrival arrival = Finish(fd); !arrival.empty()) {
      return arrival;
    }
    if (by_socket_.contains(fd)) {
      DropOldest();
    }
  }
  return {};
}

void ShmListener::DropOldest() {
  const int fd = greetings_.front().handshake.fd();
  Unwatch(events_, fd);
  by_socket_.erase(fd);
  greetings_.pop_front();
  ++stats_.silent;
}

void ShmListener::MakeRoom(const std::string& why) {
  greetings_.front().handshake.Refuse(absl::ResourceExhaustedError(why));
  DropOldest();
}

void ShmListener::Refused(const absl::Status& why) {
  ++stats_.refused;
  stats_.last_refusal = std::string(why.message());
}

size_t ShmListener::max_greetings() const {
  if (options_.max_greetings > 0) {
    return options_.max_greetings;
  }
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return std::max<size_t>(limit.rlim_cur / 4, 1);
}

Deadline ShmListener::next_deadline() const {
  return greetings_.empty() ? Deadline::After(absl::InfiniteDuration())
                            : greetings_.front().deadline;
}

void ShmListener::WaitFor(Turn::Next next, const Deadline& deadline) const {
  if (next == Turn::Next::kTurn) {
    return;
  }
  const bool rest = next == Turn::Next::kRest;
  pollfd events = {.fd = rest ? -1 : doorbell(), .events = POLLIN, .revents = 0};
  const Deadline::Clock::duration left = next_deadline().Left(deadline.Left(kLongestPoll));
  const timespec timeout = ToTimespec(
      rest ? std::min<Deadline::Clock::duration>(left, absl::ToChronoNanoseconds(kRest)) : left);
  ppoll(&events, 1, &timeout, nullptr);
}

}  // namespace shoal
