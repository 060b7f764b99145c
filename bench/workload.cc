#include "shoal/bench/workload.h"

#include <utility>

namespace shoal {

std::optional<absl::Duration> TimeOf(const WorkId& id, const Round& round) {
  const auto found = round.find(id);
  return found == round.end() ? std::nullopt : std::optional(found->second.Time());
}

Target TimeTarget(std::string text, TimeLimit limit) {
  return {
      std::move(text),
      [limit = std::move(limit)](const Round& round, const Block& block) -> std::optional<double> {
        const std::optional<absl::Duration> most = limit(round, block);
        return most > absl::ZeroDuration() ? std::optional(absl::ToDoubleNanoseconds(*most))
                                           : std::nullopt;
      }};
}

Target PartTarget(std::string text, double part, const WorkId& other) {
  return TimeTarget(
      std::move(text),
      [part, other](const Round& round, const Block&) -> std::optional<absl::Duration> {
        const auto time = TimeOf(other, round);
        return time ? std::optional(part * *time) : std::nullopt;
      });
}

Target NoneTarget(std::string text, Quantity quantity) {
  return {std::move(text), [](const Round&, const Block&) { return std::optional(0.0); }, quantity};
}

Target AcrossCpus(Target target) {
  return {std::move(target.text),
          [limit = std::move(target.limit)](const Round& round, const Block& block) {
            return block.floor.Mean() > absl::ZeroDuration() ? limit(round, block) : std::nullopt;
          },
          target.quantity};
}

Workload AcrossCpus(Workload workload, const Cpus& cpus, int cpu) {
  workload.cpus = cpus;
  workload.cpu = cpu;
  for (Target& target : workload.targets) {
    target = AcrossCpus(std::move(target));
  }
  return workload;
}

}  // namespace shoal
