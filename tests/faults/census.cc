#include "shoal/tests/faults/census.h"

#include <malloc.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "shoal/transport/test_process.h"

namespace shoal::faults {
namespace {

size_t MemfdMappings() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    count += line.find("/memfd:") != std::string::npos;
  }
  return count;
}

uint64_t SharedKibibytes() {
  std::ifstream status("/proc/self/status");
  std::string field;
  uint64_t kibibytes = 0;
  for (std::string rest; status >> field; std::getline(status, rest)) {
    if (field == "RssShmem:") {
      status >> kibibytes;
    }
  }
  return kibibytes;
}

}  // namespace

Census TakeCensus() { return {OpenDescriptors(), MemfdMappings(), SharedKibibytes()}; }

std::string Describe(const Census& census) {
  return absl::StrCat(census.descriptors, " descriptors, ", census.memfd_mappings, " mappings, ",
                      census.shared_kibibytes, " KiB shared");
}

uint64_t HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

double CpuSeconds() {
  timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

}  // namespace shoal::faults
