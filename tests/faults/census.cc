#include "shoal/tests/faults/census.h"

#include <malloc.h>
#include <time.h>

#include "absl/strings/str_cat.h"
#include "shoal/transport/test_process.h"

namespace shoal::faults {
namespace {

double CpuSeconds() {
  timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

}  // namespace

Census TakeCensus() {
  const SharedMemory memory = MappedSharedMemory();
  return {OpenDescriptors(), memory.mappings, memory.touched_bytes / 1024};
}

std::string Describe(const Census& census) {
  return absl::StrCat(census.descriptors, " descriptors, ", census.memfd_mappings, " mappings, ",
                      census.shared_kibibytes, " KiB shared");
}

uint64_t HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

double CpuSecondsDuring(const std::function<void()>& wait) {
  const double before = CpuSeconds();
  wait();
  return CpuSeconds() - before;
}

}  // namespace shoal::faults
