// Has pairs of processes exchange messages that nobody disturbs, one pair after the other, each of
// another kind.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "shoal/tests/soak/worker.h"

namespace shoal::soak {

struct Passed {
  uint64_t pairs = 0;
  uint64_t failed = 0;  // of them
  uint64_t messages = 0;
  uint64_t bytes = 0;           // of payload
  absl::Duration longest_wait;  // for one message
};

// A thread runs tests/stress again and again.
class StressWorker {
 public:
  // `length` multiplies how many messages a pair exchanges.
  StressWorker(const Task& task, double length, Printer& printer);
  StressWorker(const StressWorker&) = delete;
  StressWorker& operator=(const StressWorker&) = delete;
  ~StressWorker();

  Passed passed() const;
  absl::Time heard_at() const;  // of the last line
  bool done() const;

 private:
  void Run();
  // Pair number `number`.
  void RunPair(uint64_t number);
  void Hear(const std::string& line);

  const Task task_;
  const double length_;
  Printer& printer_;
  mutable std::mutex mutex_;  // guards what follows
  Passed passed_;
  absl::Time heard_at_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace shoal::soak
