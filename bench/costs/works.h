// The operations whose costs are guarded, each with both of its ends in one thread, so that nothing
// waits and every repetition does the same.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace shoal {

// Does the work once. kDataLoss where what arrived is wrong.
using Operation = std::function<absl::Status()>;

// Does an operation as often as it likes; what it returns is the work's result.
using Measure = std::function<absl::Status(const Operation& operation)>;

struct Work {
  std::string name;
  // Sets both ends up, has the operation measured and takes them down.
  std::function<absl::Status(const Measure& measure)> run;
};

// In the order in which they are shown. To be called, and run, in a thread without a KJ event loop.
std::vector<Work> GuardedWorks();

}  // namespace shoal
