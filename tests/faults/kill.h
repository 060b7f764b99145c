// What a survivor is told of a kill to come.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/faults/killer.h"
#include "shoal/tests/faults/outcome.h"
#include "shoal/tests/faults/shapes.h"
#include "shoal/tests/faults/tally.h"

namespace shoal::faults {

// A death that is not seen for so long is taken for one that never would be.
inline constexpr absl::Duration kNeverSeen = absl::Seconds(30);

// One kill, in all that it needs.
struct Kill {
  const Shape& shape;
  Role role;
  uint64_t seed;
  KillPlan plan;
  std::string address;  // of the victim, if it is the server
  std::function<std::unique_ptr<ChildProcess>(const std::string& address)> start_victim;
  Tally& tally;
  absl::Duration idle;  // for so long the survivor waits for the next client afterwards, at rest
};

// Expects that this process takes next to no CPU while `wait`, which lasts for `duration`, waits.
void ExpectRest(Outcome& outcome, absl::Duration duration, const std::function<void()>& wait);

}  // namespace shoal::faults
