// The process that is killed, at the layer of RPC.
#pragma once

#include <cstdint>
#include <string>

#include "shoal/tests/faults/outcome.h"
#include "shoal/tests/faults/shapes.h"
#include "shoal/tests/faults/tally.h"

namespace shoal::faults {

// As RunChannelVictim().
int RunRpcVictim(const std::string& address, const Shape& shape, Role survivor, uint64_t seed,
                 Tally& tally);

}  // namespace shoal::faults
