// Keeps one run of tests/faults going, and hears from it how far it is.
#pragma once

#include <mutex>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "shoal/tests/faults/sum.h"
#include "shoal/tests/soak/worker.h"

namespace shoal::soak {

struct FaultLimits {
  absl::Duration max_delay;  // before a kill
  absl::Duration stop;       // of one SIGSTOP
  uint64_t stops;            // of one victim, in phases that do not stop it anyway
};

// A thread reads what the program prints: sums are kept here, all else is printed.
class FaultWorker {
 public:
  FaultWorker(const Task& task, const FaultLimits& limits, Printer& printer);
  FaultWorker(const FaultWorker&) = delete;
  FaultWorker& operator=(const FaultWorker&) = delete;
  ~FaultWorker();

  faults::Sum sum() const;
  absl::Time heard_at() const;  // of the last line
  bool done() const;

  // Whether the program ended by itself and said that all went well. When it is done.
  bool well() const;

 private:
  void Run();

  const Task task_;
  const FaultLimits limits_;
  Printer& printer_;
  mutable std::mutex mutex_;  // guards what follows
  faults::Sum sum_;
  absl::Time heard_at_;
  bool done_ = false;
  bool well_ = false;
  std::thread thread_;
};

}  // namespace shoal::soak
