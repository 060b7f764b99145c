// What a stranger's flood of a server costs a client that is served.
#pragma once

#include <chrono>
#include <cstdint>

namespace shoal {

// Of calls, one after the other.
struct CallTimes {
  uint64_t calls = 0;
  double median_us = 0;
  double p99_us = 0;
  double longest_us = 0;
};

struct FloodReport {
  CallTimes before;
  CallTimes beside_a_neighbour;  // a process that only computes, and takes a CPU as a flood does
  CallTimes during;
  uint64_t connections = 0;  // of the stranger's, all together
  double new_client_us = 0;  // how long a client that came during the flood took to get an answer
};

// Serves at an address of shm: in one process and calls it from this one: for `time` alone, for
// `time` beside a process that computes, and for `time` beside a process of another user that
// connects and leaves, connects and stays silent, sends greetings and sends descriptors, as fast as
// it can. Needs root. Throws what a call throws.
FloodReport Flood(std::chrono::milliseconds time);

}  // namespace shoal
