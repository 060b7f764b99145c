#include "shoal/tests/soak/fault_worker.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "shoal/tests/child_process.h"

namespace shoal::soak {
namespace {

constexpr absl::Duration kBetweenSums = absl::Seconds(5);

}  // namespace

FaultWorker::FaultWorker(const Task& task, const FaultLimits& limits, Printer& printer)
    : task_(task), limits_(limits), printer_(printer), heard_at_(absl::Now()), thread_([this] {
        Run();
      }) {}

FaultWorker::~FaultWorker() { thread_.join(); }

faults::Sum FaultWorker::sum() const {
  const std::lock_guard lock(mutex_);
  return sum_;
}

absl::Time FaultWorker::heard_at() const {
  const std::lock_guard lock(mutex_);
  return heard_at_;
}

bool FaultWorker::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

bool FaultWorker::well() const {
  const std::lock_guard lock(mutex_);
  return well_;
}

void FaultWorker::Run() {
  const absl::Duration time = std::max(absl::Milliseconds(1), task_.end - absl::Now());
  ChildProcess process({task_.program, absl::StrCat("--time=", absl::FormatDuration(time)),
                        absl::StrCat("--every=", absl::FormatDuration(kBetweenSums)),
                        absl::StrCat("--max_delay=", absl::FormatDuration(limits_.max_delay)),
                        absl::StrCat("--stop=", absl::FormatDuration(limits_.stop)),
                        absl::StrCat("--stops=", limits_.stops),
                        absl::StrCat("--seed=", task_.seed)});
  for (std::string line = process.ReadLine(); !line.empty(); line = process.ReadLine()) {
    const std::optional<faults::Sum> sum = faults::FromLine(line);
    if (!sum) {
      printer_.Print(absl::StrCat(task_.name, ": ", line));
    }
    const std::lock_guard lock(mutex_);
    sum_ = sum.value_or(sum_);
    heard_at_ = absl::Now();
  }
  const int status = process.Wait();
  if (status != 0) {
    printer_.Print(absl::StrCat(task_.name, ": ended with ", status));
  }
  const std::lock_guard lock(mutex_);
  well_ = status == 0;
  done_ = true;
}

}  // namespace shoal::soak
