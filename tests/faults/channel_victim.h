// The process that is killed, at the layer of channels.
#pragma once

#include <cstdint>
#include <string>

#include "shoal/tests/faults/outcome.h"
#include "shoal/tests/faults/shapes.h"
#include "shoal/tests/faults/tally.h"

namespace shoal::faults {

// The seed of what the victim sends, given the survivor's.
inline uint64_t VictimSeed(uint64_t seed) { return ~seed; }

// Has the traffic of `shape` with the survivor, which has the role `survivor`, until it is killed.
// Returns the exit status of a process that outlived its purpose.
int RunChannelVictim(const std::string& address, const Shape& shape, Role survivor, uint64_t seed,
                     Tally& tally);

}  // namespace shoal::faults
