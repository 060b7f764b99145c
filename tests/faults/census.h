// What this process has of the system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace shoal::faults {

struct Census {
  size_t descriptors = 0;         // open, the one that counts them included
  size_t memfd_mappings = 0;      // of shared memory
  uint64_t shared_kibibytes = 0;  // of shared memory, touched by this process

  bool operator==(const Census&) const = default;
};

Census TakeCensus();

// "11 descriptors, 2 mappings, 64 KiB shared"
std::string Describe(const Census& census);

// Bytes that this process has from malloc, for it to be seen whether they grow.
uint64_t HeapBytes();

// What all threads of this process together use while `wait` runs.
double CpuSecondsDuring(const std::function<void()>& wait);

}  // namespace shoal::faults
