#include "shoal/tests/soak/stress_worker.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "shoal/tests/child_process.h"

namespace shoal::soak {
namespace {

struct Kind {
  double messages;  // each way: some seconds for an optimised program
  std::vector<std::string> options;
};

const std::vector<Kind>& Kinds() {
  static const std::vector<Kind> kinds = {
      {100000, {"--smallest", "--max_bytes=65536"}},
      {20000, {"--smallest", "--max_bytes=8192", "--hold=40", "--spin=0"}},
      {500, {"--max_bytes=8388608"}},
      {500, {"--max_bytes=8388608", "--hold=20"}},
      {20000, {"--smallest", "--max_bytes=20000", "--spill"}},
      {2000000, {"--max_bytes=200"}},
      {100000, {"--max_bytes=65536", "--hold=200"}},
  };
  return kinds;
}

}  // namespace

StressWorker::StressWorker(const Task& task, double length, Printer& printer)
    : task_(task), length_(length), printer_(printer), heard_at_(absl::Now()), thread_([this] {
        Run();
      }) {}

StressWorker::~StressWorker() { thread_.join(); }

Passed StressWorker::passed() const {
  const std::lock_guard lock(mutex_);
  return passed_;
}

absl::Time StressWorker::heard_at() const {
  const std::lock_guard lock(mutex_);
  return heard_at_;
}

bool StressWorker::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

void StressWorker::Run() {
  uint64_t number = 0;
  do {
    RunPair(number++);
  } while (absl::Now() < task_.end);
  const std::lock_guard lock(mutex_);
  done_ = true;
}

void StressWorker::RunPair(uint64_t number) {
  std::vector<std::string> command = {task_.program};
  const Kind& kind = Kinds()[number % Kinds().size()];
  command.insert(command.end(), kind.options.begin(), kind.options.end());
  command.push_back(absl::StrCat("--messages=", static_cast<uint64_t>(kind.messages * length_)));
  command.push_back(absl::StrCat("--seed=", task_.seed + number));
  ChildProcess process(command);
  std::string printed;
  for (std::string line = process.ReadLine(); !line.empty(); line = process.ReadLine()) {
    Hear(line);
    absl::StrAppend(&printed, line, "\n");
  }
  const int status = process.Wait();
  if (status != 0) {
    printer_.Print(absl::StrCat(printed, task_.name, ": a pair (", kind.options.front(), ", seed ",
                                task_.seed + number, ") ended with ", status));
  }
  const std::lock_guard lock(mutex_);
  ++passed_.pairs;
  passed_.failed += status != 0;
}

void StressWorker::Hear(const std::string& line) {
  uint64_t messages = 0;
  uint64_t bytes = 0;
  char wait[32];
  const int found = std::sscanf(line.c_str(),
                                "%*s end: %" SCNu64 " messages, %" SCNu64
                                " bytes, %*f s, %*f GB/s, longest wait %31s",
                                &messages, &bytes, wait);
  absl::Duration longest_wait;
  const std::lock_guard lock(mutex_);
  heard_at_ = absl::Now();
  if (found == 3 && absl::ParseDuration(wait, &longest_wait)) {
    passed_.messages += messages;
    passed_.bytes += bytes;
    passed_.longest_wait = std::max(passed_.longest_wait, longest_wait);
  }
}

}  // namespace shoal::soak
