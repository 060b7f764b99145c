#include "shoal/tests/faults/killer.h"

#include <signal.h>

#include "absl/time/clock.h"

namespace shoal::faults {
namespace {

// Far longer than any of it takes.
constexpr absl::Duration kGivesUpAfter = absl::Seconds(30);

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
  done_ = true;
}

void Killer::StopForAWhile() {
  absl::SleepFor(plan_.delay);
  victim_.Signal(SIGSTOP);
  absl::SleepFor(plan_.stop_time);
  const uint64_t before = tally_.published();
  victim_.Signal(SIGCONT);
  const absl::Time deadline = absl::Now() + kGivesUpAfter;
  while (tally_.published() == before && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  went_on_ = went_on_ && tally_.published() != before;
}

}  // namespace shoal::faults
