#include "shoal/bench/process_usage.h"

#include <stdio.h>
#include <time.h>

#include <fstream>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace shoal {
namespace {

// The number after `name` in /proc/PID/status.
std::optional<uint64_t> StatusOf(pid_t pid, const std::string& name) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  for (std::string word; file >> word;) {
    if (uint64_t number; word == name && file >> number) {
      return number;
    }
  }
  return std::nullopt;
}

// The tenth field of /proc/PID/stat. The second may have blanks, in parentheses.
std::optional<uint64_t> PageFaultsOf(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string line;
  std::getline(file, line);
  constexpr char kFields[] = ") %*c %*d %*d %*d %*d %*d %*u %lu";
  const size_t name_end = line.rfind(')');
  unsigned long faults;
  const bool found =
      name_end != line.npos && sscanf(line.c_str() + name_end, kFields, &faults) == 1;
  return found ? std::optional<uint64_t>(faults) : std::nullopt;
}

std::optional<absl::Duration> CpuTimeOf(pid_t pid) {
  clockid_t clock;
  timespec time;
  const bool read = clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &time) == 0;
  return read ? std::optional(absl::DurationFromTimespec(time)) : std::nullopt;
}

}  // namespace

absl::StatusOr<Usage> UsageOfProcess(pid_t pid) {
  const auto sleeps = StatusOf(pid, "voluntary_ctxt_switches:");
  const auto faults = PageFaultsOf(pid);
  const auto cpu = CpuTimeOf(pid);
  if (!sleeps || !faults || !cpu) {
    return absl::UnavailableError(
        absl::StrCat("what process ", pid, " has used cannot be told; does it still run?"));
  }
  return Usage{.sleeps = *sleeps, .page_faults = *faults, .cpu = *cpu};
}

absl::StatusOr<Usage> UsageWithin(absl::Duration time, pid_t one, pid_t other) {
  const auto one_before = UsageOfProcess(one);
  const auto other_before = UsageOfProcess(other);
  absl::SleepFor(time);
  const auto one_after = UsageOfProcess(one);
  const auto other_after = UsageOfProcess(other);
  for (const auto* usage : {&one_before, &other_before, &one_after, &other_after}) {
    if (!usage->ok()) {
      return usage->status();
    }
  }
  return (*one_after - *one_before) + (*other_after - *other_before);
}

}  // namespace shoal
