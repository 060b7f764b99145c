#include "shoal/bench/workload.h"

namespace shoal {

std::optional<absl::Duration> TimeOf(const WorkId& id, const Round& round) {
  const auto found = round.find(id);
  return found == round.end() ? std::nullopt : std::optional(found->second.Time());
}

}  // namespace shoal
