#include "shoal/bench/cpus.h"

#include <sched.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace shoal {

std::vector<int> AllowedCpus() {
  std::vector<int> cpus;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
    return cpus;
  }
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) {
      cpus.push_back(cpu);
    }
  }
  return cpus;
}

absl::Status PinTo(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (sched_setaffinity(0, sizeof(one), &one) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("this process may not run on CPU ", cpu, " (errno ", errno, ")"));
  }
  return absl::OkStatus();
}

}  // namespace shoal
