#include "shoal/bench/workload.h"

#include <utility>

namespace shoal {

std::optional<absl::Duration> TimeOf(const WorkId& id, const Round& round) {
  const auto found = round.find(id);
  return found == round.end() ? std::nullopt : std::optional(found->second.Time());
}

Target AcrossCpus(Target target) {
  return {std::move(target.text),
          [limit = std::move(target.limit)](const Round& round, const Block& block) {
            return block.floor.Mean() > absl::ZeroDuration() ? limit(round, block) : std::nullopt;
          }};
}

}  // namespace shoal
