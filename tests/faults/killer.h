// Kills a process at a random point.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "absl/time/time.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/faults/tally.h"

namespace shoal::faults {

struct KillPlan {
  bool waits_for_line = false;  // until the victim says on its standard output that it is time
  uint64_t stops = 0;           // SIGSTOP and SIGCONT so often first
  absl::Duration stop_time;     // for so long each
  absl::Duration delay;         // before the kill, and before each stop
};

// A thread of its own, so that the process it is in can be in the midst of anything.
class Killer {
 public:
  // Nobody else may use `victim` until Join().
  Killer(ChildProcess& victim, Tally& tally, const KillPlan& plan);
  Killer(const Killer&) = delete;
  Killer& operator=(const Killer&) = delete;
  ~Killer();

  // Waits until the victim is gone: as ChildProcess::Wait().
  int Join();

  // Whether Join() would return at once.
  bool done() const { return done_; }

  // Whether the kill is under way, or over.
  bool has_killed() const { return killed_at_ns_ != 0; }

  // When the signal was sent. After has_killed() has said so.
  absl::Time killed_at() const { return absl::FromUnixNanos(killed_at_ns_); }

  // From the signal until the system had ended the victim. After Join().
  absl::Duration dying() const { return gone_at_ - killed_at(); }

  // Whether the victim went on publishing each time that it was continued. After Join().
  bool went_on() const { return went_on_; }

  // Whether this process took next to no CPU while the victim was stopped for long. After Join().
  bool rested() const { return rested_; }

 private:
  void Run();
  void StopForAWhile();

  ChildProcess& victim_;
  Tally& tally_;
  const KillPlan plan_;
  int status_ = 0;
  bool went_on_ = true;
  bool rested_ = true;
  absl::Time gone_at_;
  std::atomic<int64_t> killed_at_ns_ = 0;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

}  // namespace shoal::faults
