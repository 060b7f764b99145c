// Reading memory whole, as fast as a CPU can.
#pragma once

#include <string.h>

#include <cstddef>
#include <cstdint>

namespace shoal {

// The sum, modulo 2^64, of the `bytes / 8` whole words at `data`, which needs no alignment.
inline uint64_t WordSum(const void* data, size_t bytes) {
  // Vectors of what every x86-64 and arm64 has a register for, and four of them, as one chain of
  // additions would take longer than the loads. Compilers keep wider ones in memory.
  typedef uint64_t Pair __attribute__((vector_size(16)));
  const char* const begin = static_cast<const char*>(data);
  const size_t whole = bytes / (4 * sizeof(Pair)) * (4 * sizeof(Pair));
  Pair a = {}, b = {}, c = {}, d = {};
  for (size_t offset = 0; offset < whole; offset += 4 * sizeof(Pair)) {
    Pair next[4];
    memcpy(next, begin + offset, sizeof(next));
    a += next[0];
    b += next[1];
    c += next[2];
    d += next[3];
  }
  const Pair all = (a + b) + (c + d);
  uint64_t sum = all[0] + all[1];
  for (size_t offset = whole; offset + sizeof(uint64_t) <= bytes; offset += sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, begin + offset, sizeof(word));
    sum += word;
  }
  return sum;
}

// The WordSum() of `bytes` bytes, whole words, that are all the lowest byte of `sequence`.
inline uint64_t FilledSum(uint64_t sequence, uint64_t bytes) {
  return uint64_t{0x0101010101010101} * (sequence & 0xff) * (bytes / sizeof(uint64_t));
}

}  // namespace shoal
