// Usage on its way from the process that is measured to the one that asks.
#pragma once

#include "kj/async.h"
#include "shoal/bench/ping.capnp.h"
#include "shoal/bench/usage.h"

namespace shoal {

void WriteUsage(const Usage& usage, schema::Used::Builder used);
Usage ReadUsage(schema::Used::Reader used);

// What the server of `ping` has used so far; throws where it does not answer.
Usage UsageOfServer(schema::Ping::Client& ping, kj::WaitScope& wait_scope);

}  // namespace shoal
