// What the programs that a soak run starts have in common.
#pragma once

#include <cstdint>
#include <iostream>
#include <mutex>
#include <string>

#include "absl/time/time.h"

namespace shoal::soak {

// What a worker is to do.
struct Task {
  std::string name;     // before each line of its own
  std::string program;  // its path, or one below the test's runfiles
  absl::Time end;
  uint64_t seed;
};

// Prints whole lines, whichever threads they come from.
class Printer {
 public:
  void Print(const std::string& line) {
    const std::lock_guard lock(mutex_);
    std::cout << line << std::endl;
  }

 private:
  std::mutex mutex_;
};

}  // namespace shoal::soak
