#include "shoal/bench/memory.h"

#include <unistd.h>

#include <fstream>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace shoal {
namespace {

absl::StatusOr<double> ProportionalBytes(pid_t pid) {
  const std::string path = absl::StrCat("/proc/", pid, "/smaps_rollup");
  std::ifstream file(path);
  std::optional<double> anonymous;
  std::optional<double> shared;
  for (std::string word; file >> word;) {
    if (double kibibytes; word == "Pss_Anon:" && file >> kibibytes) {
      anonymous = kibibytes * 1024;
    } else if (word == "Pss_Shmem:" && file >> kibibytes) {
      shared = kibibytes * 1024;
    }
  }
  if (!anonymous || !shared) {
    return absl::UnavailableError(absl::StrCat(path, " has no Pss_Anon and Pss_Shmem"));
  }
  return *anonymous + *shared;
}

}  // namespace

absl::StatusOr<double> HeldMemory(pid_t other) {
  const absl::StatusOr<double> ours = ProportionalBytes(getpid());
  if (!ours.ok()) {
    return ours;
  }
  const absl::StatusOr<double> others = ProportionalBytes(other);
  return others.ok() ? absl::StatusOr<double>(*ours + *others) : others;
}

}  // namespace shoal
