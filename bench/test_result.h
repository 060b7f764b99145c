// What the tests of written results share.
#pragma once

#include "shoal/bench/machine.h"
#include "shoal/bench/result.h"

namespace shoal {

inline Machine SomeMachine() {
  return {.cpu = "Abacus \"9\"",
          .kernel = "Linux 6.1",
          .capnp = "0.9.2",
          .abseil = "20220623.1",
          .compiler = "g++ 12.2",
          .compile_mode = "optimised",
          .client_cpu = 0,
          .server_cpu = 1};
}

inline Result SomeResult() {
  return {.work = "round trip",
          .transport = "shm",
          .size = 64,
          .blocks = 3,
          .moved_blocks = 1,
          .samples = 300,
          .p50_ns = 261,
          .p99_ns = 12300,
          .p999_ns = 4.5e6,
          .max_ns = 25.1e6,
          .histogram = {{256, 299}, {512, 1}},
          .floor_ns = 119,
          .ratio = 2.19,
          .target = "1.2 floor + 120 ns",
          .limit_ns = 262.8,
          .met = Met::kYes,
          .allocations = 0.5};
}

}  // namespace shoal
