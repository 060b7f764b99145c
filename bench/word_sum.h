// Reading memory whole, as fast as a CPU can.
#pragma once

#include <string.h>

#include <cstddef>
#include <cstdint>

namespace shoal {

// The sum, modulo 2^64, of the `bytes / 8` whole words at `data`, which needs no alignment.
inline uint64_t WordSum(const void* data, size_t bytes) {
  // Lanes, as one chain of additions would take longer than the loads.
  typedef uint64_t Lanes __attribute__((vector_size(64)));
  constexpr size_t kLanes = sizeof(Lanes) / sizeof(uint64_t);
  const char* const begin = static_cast<const char*>(data);
  const size_t whole = bytes / sizeof(Lanes) * sizeof(Lanes);
  Lanes lanes = {};
  for (size_t offset = 0; offset < whole; offset += sizeof(Lanes)) {
    Lanes next;
    memcpy(&next, begin + offset, sizeof(next));
    lanes += next;
  }
  uint64_t sum = 0;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    sum += lanes[lane];
  }
  for (size_t offset = whole; offset + sizeof(uint64_t) <= bytes; offset += sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, begin + offset, sizeof(word));
    sum += word;
  }
  return sum;
}

}  // namespace shoal
