#include "shoal/transport/spin_budget.h"

#include <algorithm>

namespace shoal {
namespace {

constexpr auto kForever = std::chrono::hours(24 * 365 * 100);

SpinBudget::Clock::duration Limit(absl::Duration limit) {
  return limit > absl::Hours(24) ? SpinBudget::Clock::duration(kForever)
                                 : SpinBudget::Clock::duration(absl::ToChronoNanoseconds(limit));
}

}  // namespace

SpinBudget::SpinBudget(absl::Duration limit)
    : limit_(Limit(limit)), cold_(std::min<Clock::duration>(limit_, std::chrono::hours(1)) * 2) {}

SpinBudget::Clock::duration SpinBudget::Next() const {
  return average_ > cold_ && limit_ < Clock::duration(kForever) ? Clock::duration::zero() : limit_;
}

void SpinBudget::Slept(Clock::duration waited) {
  average_ += (std::min(waited, 4 * cold_) - average_) / 4;
}

}  // namespace shoal
