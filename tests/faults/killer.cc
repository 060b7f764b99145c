#include "shoal/tests/faults/killer.h"

#include <signal.h>

#include "absl/time/clock.h"
#include "shoal/tests/faults/census.h"

namespace shoal::faults {
namespace {

// Far longer than any of it takes.
constexpr absl::Duration kGivesUpAfter = absl::Seconds(30);

// For how much CPU is taken in half of it to tell sleeping from spinning.
constexpr absl::Duration kLong = absl::Milliseconds(200);

// Whether this process takes next to no CPU for as long as `time`, once it has verified what had
// been published before.
bool ComesToRest(absl::Duration time) {
  const absl::Time deadline = absl::Now() + kGivesUpAfter;
  const double most = absl::ToDoubleSeconds(time) / 2;
  double used = 0;
  do {
    used = CpuSecondsDuring([&] { absl::SleepFor(time); });
  } while (used > most && absl::Now() < deadline);
  return used <= most;
}

}  // namespace

Killer::Killer(ChildProcess& victim, Tally& tally, const KillPlan& plan)
    : victim_(victim), tally_(tally), plan_(plan), thread_([this] { Run(); }) {}

Killer::~Killer() { Join(); }

int Killer::Join() {
  if (thread_.joinable()) {
    thread_.join();
  }
  return status_;
}

void Killer::Run() {
  if (plan_.waits_for_line) {
    victim_.ReadLine();
  }
  for (uint64_t i = 0; i < plan_.stops; ++i) {
    StopForAWhile();
  }
  absl::SleepFor(plan_.delay);
  killed_at_ns_ = absl::ToUnixNanos(absl::Now());
  victim_.Signal(SIGKILL);
  status_ = victim_.Wait();
  gone_at_ = absl::Now();
  done_ = true;
}

void Killer::StopForAWhile() {
  absl::SleepFor(plan_.delay);
  victim_.Signal(SIGSTOP);
  absl::SleepFor(plan_.stop_time / 2);
  if (plan_.stop_time < kLong) {
    absl::SleepFor(plan_.stop_time / 2);
  } else {
    rested_ = rested_ && ComesToRest(plan_.stop_time / 2);
  }
  const uint64_t before = tally_.begun();
  victim_.Signal(SIGCONT);
  const absl::Time deadline = absl::Now() + kGivesUpAfter;
  while (tally_.begun() == before && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  went_on_ = went_on_ && tally_.begun() != before;
}

}  // namespace shoal::faults
