// Stress and faults together, for hours: processes that are killed and stopped at random points,
// beside processes that nobody disturbs. Exits with 1 if anything was lost, left behind or given
// up.

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "shoal/tests/soak/fault_worker.h"
#include "shoal/tests/soak/stress_worker.h"

ABSL_FLAG(absl::Duration, time, absl::Minutes(20), "how long it runs");
ABSL_FLAG(absl::Duration, every, absl::Minutes(1), "between two lines of progress");
ABSL_FLAG(uint64_t, seed, 0, "of all that is random; 0: another one each time");
ABSL_FLAG(uint64_t, survivors, 2, "runs of tests/faults beside each other");
ABSL_FLAG(absl::Duration, max_delay, absl::Seconds(2), "before a kill; half are below 1.5 ms");
ABSL_FLAG(absl::Duration, stop, absl::Seconds(2), "how long SIGSTOP lasts, at most");
ABSL_FLAG(double, length, 1, "of an undisturbed pair's work: 0.1 is a tenth of the usual");
ABSL_FLAG(std::string, faults, "tests/faults/faults", "the program");
ABSL_FLAG(std::string, stress, "tests/stress/stress", "the program");

namespace shoal::soak {
namespace {

// A worker says nothing for a few seconds at most, or for as long as a stop or a pair lasts.
constexpr absl::Duration kStuckAfter = absl::Minutes(3);
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(100);

struct Total {
  faults::Sum sum;
  Passed passed;

  uint64_t messages() const { return sum.messages + sum.messages_back + passed.messages; }
  uint64_t bytes() const { return sum.bytes + sum.bytes_back + passed.bytes; }
  absl::Duration longest_wait() const { return std::max(sum.longest_wait, passed.longest_wait); }
  uint64_t failures() const { return sum.failures + passed.failed; }
};

class Soak {
 public:
  explicit Soak(uint64_t seed);

  int Run();

 private:
  Task NewTask(const std::string& name, const std::string& program);
  Total TotalNow() const;
  bool done() const;
  void EndIfStuck() const;
  void PrintProgress();
  void PrintTotal(const Total& total);

  std::mt19937_64 random_;
  const absl::Time begin_ = absl::Now();
  const absl::Time end_ = begin_ + absl::GetFlag(FLAGS_time);
  Printer printer_;
  std::vector<std::unique_ptr<FaultWorker>> faults_;
  std::unique_ptr<StressWorker> stress_;
};

Soak::Soak(uint64_t seed) : random_(seed) {
  const FaultLimits limits = {
      .max_delay = absl::GetFlag(FLAGS_max_delay), .stop = absl::GetFlag(FLAGS_stop), .stops = 2};
  for (uint64_t i = 0; i < absl::GetFlag(FLAGS_survivors); ++i) {
    const Task task = NewTask(absl::StrCat("survivor ", i + 1), absl::GetFlag(FLAGS_faults));
    faults_.push_back(std::make_unique<FaultWorker>(task, limits, printer_));
  }
  stress_ = std::make_unique<StressWorker>(NewTask("stress", absl::GetFlag(FLAGS_stress)),
                                           absl::GetFlag(FLAGS_length), printer_);
}

Task Soak::NewTask(const std::string& name, const std::string& program) {
  return {.name = name, .program = program, .end = end_, .seed = random_() | 1};
}

Total Soak::TotalNow() const {
  Total total{.sum = {}, .passed = stress_->passed()};
  for (const auto& worker : faults_) {
    total.sum.Add(worker->sum());
  }
  return total;
}

bool Soak::done() const {
  return stress_->done() && std::all_of(faults_.begin(), faults_.end(),
                                        [](const auto& worker) { return worker->done(); });
}

void Soak::EndIfStuck() const {
  absl::Time heard_at = stress_->done() ? absl::InfiniteFuture() : stress_->heard_at();
  for (const auto& worker : faults_) {
    heard_at = std::min(heard_at, worker->done() ? absl::InfiniteFuture() : worker->heard_at());
  }
  if (absl::Now() - heard_at < kStuckAfter) {
    return;
  }
  std::cout << "stuck: a worker has said nothing for " << absl::FormatDuration(kStuckAfter)
            << std::endl;
  _exit(1);  // kills the workers, which a destructor would wait for
}

int Soak::Run() {
  const absl::Duration every = absl::GetFlag(FLAGS_every);
  absl::Time next_line = begin_ + every;
  while (!done()) {
    absl::SleepFor(kBetweenLooks);
    EndIfStuck();
    if (absl::Now() >= next_line) {
      PrintProgress();
      next_line += every;
    }
  }
  const Total total = TotalNow();
  PrintTotal(total);
  const bool all_end_well = std::all_of(faults_.begin(), faults_.end(),
                                        [](const auto& worker) { return worker->well(); });
  return all_end_well && total.sum.all_well() && total.passed.failed == 0 ? 0 : 1;
}

std::string LongestSeen(const faults::Sum& sum) {
  return sum.longest_seen ? absl::FormatDuration(*sum.longest_seen) : "-";
}

void Soak::PrintProgress() {
  const Total total = TotalNow();
  printer_.Print(absl::StrFormat(
      "%s: %d kills, %d stops, %d messages, %.1f GB, longest wait %s, longest until a death was "
      "seen %s, %d leaks, %d failures",
      absl::FormatDuration(absl::Trunc(absl::Now() - begin_, absl::Seconds(1))), total.sum.kills(),
      total.sum.stops, total.messages(), static_cast<double>(total.bytes()) / 1e9,
      absl::FormatDuration(total.longest_wait()), LongestSeen(total.sum), total.sum.leaks,
      total.failures()));
}

void Soak::PrintTotal(const Total& total) {
  const faults::Sum& sum = total.sum;
  printer_.Print(absl::StrCat(
      "time                   ",
      absl::FormatDuration(absl::Trunc(absl::Now() - begin_, absl::Seconds(1))),
      "\nmessages verified      ", total.messages(), ", ",
      absl::StrFormat("%.1f GB", static_cast<double>(total.bytes()) / 1e9),
      "\n  with who is killed   ", sum.messages, " from it, ", sum.messages_back, " to it",
      "\n  undisturbed          ", total.passed.messages, " by ", total.passed.pairs, " pairs",
      "\nkills                  ", sum.kills_of_clients, " of clients, ", sum.kills_of_servers,
      " of servers", "\nstops                  ", sum.stops, "\nlongest wait           ",
      absl::FormatDuration(sum.longest_wait), " with who is stopped for up to ",
      absl::FormatDuration(absl::GetFlag(FLAGS_stop)), ", ",
      absl::FormatDuration(total.passed.longest_wait), " undisturbed", "\ndeaths seen            ",
      sum.deaths_seen, ", after ", LongestSeen(sum), " at most, ", sum.deaths_seen_late,
      " after more than ", absl::FormatDuration(faults::kSeenSoon), "\nlongest dying          ",
      absl::FormatDuration(sum.longest_dying),
      " from a kill until the system had ended the process", "\nleaks                  ", sum.leaks,
      "\nheap                   ", sum.heap_growth / 1024, " KiB more than at the beginning, of ",
      faults::kHeapMayGrow / 1024, " KiB that it may grow", "\nfailures               ",
      total.failures()));
}

}  // namespace
}  // namespace shoal::soak

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("kills and stops processes for hours, beside others in peace");
  absl::ParseCommandLine(argc, argv);
  const uint64_t flag = absl::GetFlag(FLAGS_seed);
  const uint64_t seed = flag != 0 ? flag : std::random_device()();
  std::cout << "seed " << seed << std::endl;
  return shoal::soak::Soak(seed).Run();
}
