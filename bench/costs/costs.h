// What an operation costs, in numbers that come out the same in every run.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace shoal {

// Of one operation, both ends together, warm.
struct Costs {
  std::string work;
  double allocations;  // the mean of many operations
  std::optional<double> system_calls =
      std::nullopt;  // likewise; nothing where a process may not be traced
  std::optional<double> instructions =
      std::nullopt;  // the median of some operations; nothing likewise

  bool operator==(const Costs&) const = default;
};

// Runs `work` in traced copies of this program, which must have main() hand the arguments that
// IsTracedRun() knows to RunTraced(). `work` is the name of one of GuardedWorks(). kInternal where
// the copy does not do what it should; it has then said why on standard error.
absl::StatusOr<Costs> MeasureCosts(const std::string& work);

bool IsTracedRun(int argc, char** argv);

// In the copy. Prints how many allocations the operations made, or why they failed. Returns the
// exit status.
int RunTraced(int argc, char** argv);

}  // namespace shoal
