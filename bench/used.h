// Usage on its way from the process that is measured to the one that asks.
#pragma once

#include "shoal/bench/ping.capnp.h"
#include "shoal/bench/usage.h"

namespace shoal {

void WriteUsage(const Usage& usage, schema::Used::Builder used);
Usage ReadUsage(schema::Used::Reader used);

}  // namespace shoal
