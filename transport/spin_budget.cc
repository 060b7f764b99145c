#include "shoal/transport/spin_budget.h"

#include <algorithm>

namespace shoal {
namespace {

constexpr absl::Duration kEndless = absl::Hours(24);
constexpr auto kForever = SpinBudget::Clock::duration(std::chrono::hours(24 * 365 * 100));

// A peer's wake-up and its answer, in limits: 200 us with the default, where a wake-up takes 50 us.
constexpr int kRungLimits = 4;

// A trial costs the limit. Beside a wake-up for each sleep, one in eight adds a fifth with the
// default; on one CPU, where a wake-up takes only 5 us, it must be rarer.
constexpr int kSleepsPerTrial = 8;
constexpr int kSleepsPerTrialOnThisCpu = 64;

SpinBudget::Clock::duration Finite(absl::Duration limit) {
  return absl::ToChronoNanoseconds(std::min(limit, kEndless));
}

}  // namespace

SpinBudget::SpinBudget(absl::Duration limit)
    : endless_(limit > kEndless),
      awake_{.limit = Finite(limit), .sleeps_per_trial = kSleepsPerTrial},
      after_sleep_(awake_),
      rung_{.limit = kRungLimits * Finite(limit), .sleeps_per_trial = kSleepsPerTrial},
      on_this_cpu_{.limit = Finite(limit), .sleeps_per_trial = kSleepsPerTrialOnThisCpu},
      current_(&awake_) {}

SpinBudget::Clock::duration SpinBudget::Begin(Peer peer) {
  if (endless_) {
    return kForever;
  }
  if (peer == Peer::kOnThisCpu) {
    current_ = &on_this_cpu_;
    return current_->SleepAtOnceOrTry();
  }
  current_ = peer == Peer::kRung ? &rung_ : slept_ ? &after_sleep_ : &awake_;
  return current_->Spin();
}

SpinBudget::Clock::duration SpinBudget::Waits::Spin() {
  if (average > cold()) {
    return SleepAtOnceOrTry();
  }
  return average > limit / 2 ? cold() : limit;
}

SpinBudget::Clock::duration SpinBudget::Waits::SleepAtOnceOrTry() {
  sleeps = (sleeps + 1) % sleeps_per_trial;
  return sleeps == 0 ? limit : Clock::duration::zero();
}

void SpinBudget::Waits::Learn(Clock::duration waited) {
  average += (std::min(waited, 8 * limit) - average) / 4;
}

void SpinBudget::SpinWon(Clock::duration waited) {
  slept_ = false;
  current_->average = std::min(current_->average, current_->cold());
  current_->Learn(waited);
}

void SpinBudget::Slept(Clock::duration waited) {
  slept_ = true;
  current_->Learn(waited);
}

}  // namespace shoal
