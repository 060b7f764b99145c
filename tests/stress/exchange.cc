#include "shoal/tests/stress/exchange.h"

#include <algorithm>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "shoal/tests/stress/packets.h"

namespace shoal::stress {
namespace {

constexpr uint64_t kClaimsBetweenDrops = 64;

absl::Status PublishAll(Channel& channel, const Load& load) {
  Plans plans(load.seed, load.max_bytes);
  for (uint64_t i = 0; i < load.messages; ++i) {
    const Plan& plan = plans.Next();
    if (i % kClaimsBetweenDrops == 0) {
      OutgoingMessage dropped = channel.Claim();
      Build(dropped.InitRoot<Packet>(), plan);
    }
    OutgoingMessage message = channel.Claim();
    Build(message.InitRoot<Packet>(), plan);
    if (absl::Status sent = channel.Publish(std::move(message)); !sent.ok()) {
      return sent;
    }
  }
  return channel.Flush(absl::InfiniteDuration());
}

// Messages kept to be verified and released later, in another order.
class Held {
 public:
  Held(size_t most, uint64_t seed) : most_(most), random_(seed) {}

  absl::Status Keep(IncomingMessage message, Plan plan) {
    held_.push_back({std::move(message), std::move(plan)});
    absl::Status released = absl::OkStatus();
    while (released.ok() && held_.size() > random_() % (most_ + 1)) {
      released = Release(random_() % held_.size());
    }
    return released;
  }

 private:
  struct Kept {
    IncomingMessage message;
    Plan plan;
  };

  absl::Status Release(size_t at) {
    std::swap(held_[at], held_.back());
    absl::Status verified = Verify(held_.back().message.Root<Packet>(), held_.back().plan);
    held_.pop_back();
    return verified;
  }

  const size_t most_;
  std::mt19937_64 random_;
  std::vector<Kept> held_;
};

void ReceiveAll(Channel& channel, const Load& load, Outcome& outcome) {
  Plans plans(load.peer_seed, load.max_bytes);
  Held held(load.hold, load.seed);
  while (outcome.status.ok() && outcome.received < load.messages) {
    const absl::Time begin = absl::Now();
    absl::StatusOr<IncomingMessage> message = channel.Receive();
    outcome.longest_wait = std::max(outcome.longest_wait, absl::Now() - begin);
    if (!message.ok()) {
      outcome.status = message.status();
      return;
    }
    const Plan& plan = plans.Next();
    ++outcome.received;
    outcome.received_bytes += plan.bytes();
    outcome.status = Verify(message->Root<Packet>(), plan);
    if (outcome.status.ok() && load.hold > 0) {
      outcome.status = held.Keep(*std::move(message), plan);
    }
  }
}

}  // namespace

Outcome Exchange(Channel& channel, const Load& load) {
  absl::Status published;
  std::thread publisher([&] { published = PublishAll(channel, load); });
  Outcome outcome;
  ReceiveAll(channel, load, outcome);
  if (!outcome.status.ok()) {
    channel.End();
  }
  publisher.join();
  if (outcome.status.ok()) {
    outcome.status = published;
  }
  return outcome;
}

}  // namespace shoal::stress
