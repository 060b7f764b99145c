#include <poll.h>

#include <algorithm>
#include <optional>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/doorbell.h"

namespace shoal {
namespace {

using Channels = std::span<Channel* const>;

constexpr auto kLongestSleep = std::chrono::hours(1);

// A wait that spins for long looks at the sockets this often, where a peer's death would show, and
// delivers what is pending.
constexpr auto kSpinBetweenDrains = std::chrono::milliseconds(1);

std::optional<size_t> FindReady(Channels channels, size_t first) {
  for (size_t i = 0; i < channels.size(); ++i) {
    const size_t index = (first % channels.size() + i) % channels.size();
    if (channels[index]->Readable() || channels[index]->HasNotice()) {
      return index;
    }
  }
  return std::nullopt;
}

// The least that one of them wants to spin; nothing when every peer is where it cannot run
// meanwhile.
Deadline::Clock::duration SpinFor(Channels channels) {
  absl::Duration spin = absl::InfiniteDuration();
  bool some_peer_can_run = false;
  for (Channel* channel : channels) {
    spin = std::min(spin, channel->options().spin);
    some_peer_can_run |= channel->PeerAtWait() != SpinBudget::Peer::kOnThisCpu;
  }
  return some_peer_can_run ? absl::ToChronoNanoseconds(spin) : Deadline::Clock::duration::zero();
}

// Delivers what is pending where there is room, so that no peer waits for it in turn.
void Deliver(Channel& channel) {
  if (channel.Flushable()) {
    channel.Flush(absl::ZeroDuration()).IgnoreError();  // receiving tells of it as well
  }
}

// Spins until `look()`; false when it is time to sleep, or `deadline`.
template <typename Look>
bool SpinOnAll(Channels channels, const Deadline& deadline, Look look) {
  const auto begin = Deadline::Clock::now();
  const auto spin = SpinFor(channels);
  while (true) {
    const auto left = deadline.Left(spin - (Deadline::Clock::now() - begin));
    if (left <= Deadline::Clock::duration::zero()) {
      return false;
    }
    if (SpinUntil(std::min<Deadline::Clock::duration>(left, kSpinBetweenDrains), look)) {
      return true;
    }
    if (spin > kSpinBetweenDrains) {
      for (Channel* channel : channels) {
        Deliver(*channel);
        channel->DrainDoorbell();
      }
    }
  }
}

// Asks every peer to ring; false when something is there already.
bool ArmAll(Channels channels) {
  bool nothing_yet = true;
  for (Channel* channel : channels) {
    Deliver(*channel);
    nothing_yet &= channel->ArmDoorbell();
  }
  return nothing_yet;
}

void SleepOnAll(Channels channels, Deadline::Clock::duration longest) {
  absl::InlinedVector<pollfd, 64> doorbells;
  for (Channel* channel : channels) {
    // poll() passes over -1. A doorbell that stays readable is looked at again soon.
    const bool watched = !channel->short_of_descriptors();
    doorbells.push_back({.fd = watched ? channel->doorbell() : -1, .events = POLLIN, .revents = 0});
    longest = watched ? longest : std::min<Deadline::Clock::duration>(longest, Doorbell::kNap);
    longest = std::min(longest, absl::ToChronoNanoseconds(
                                    std::min(channel->Trim(), absl::FromChrono(kLongestSleep))));
  }
  const timespec timeout = ToTimespec(longest);
  ppoll(doorbells.data(), doorbells.size(), &timeout, nullptr);
  for (size_t i = 0; i < channels.size(); ++i) {
    if (doorbells[i].revents != 0 || doorbells[i].fd < 0) {
      channels[i]->DrainDoorbell();
    }
  }
}

}  // namespace

absl::StatusOr<size_t> WaitAny(Channels channels, absl::Duration duration, size_t first) {
  if (channels.empty()) {
    return absl::InvalidArgumentError("WaitAny() was given no channel to wait for");
  }
  std::optional<size_t> ready = FindReady(channels, first);
  if (ready) {
    return *ready;
  }
  Timeout timeout(duration);
  const auto look = [&] { return (ready = FindReady(channels, first)).has_value(); };
  if (SpinOnAll(channels, timeout.deadline(), look)) {
    return *ready;
  }
  while (true) {
    // At the deadline as well, because a peer's death shows there alone.
    const bool may_sleep = ArmAll(channels);
    SleepOnAll(channels, may_sleep ? timeout.deadline().Left(kLongestSleep)
                                   : Deadline::Clock::duration::zero());
    for (Channel* channel : channels) {
      channel->DisarmDoorbell();
    }
    if (look()) {
      return *ready;
    }
    if (timeout.deadline().passed()) {
      return absl::DeadlineExceededError(absl::StrCat("none of ", channels.size(),
                                                      " channels had a message within ",
                                                      absl::FormatDuration(duration)));
    }
  }
}

}  // namespace shoal
