// Pings from a client that has something else to do between them.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shoal/bench/sampling.h"
#include "shoal/transport/options.h"

namespace shoal {

// Connects to the server at `address`, with `channel` for shared memory, and pings it until the
// budget is spent, with ExponentialGaps of `mean_gap` between an answer and the next request. A
// sample is a round trip. kDataLoss where an answer is wrong, kUnavailable where none comes. The
// calling thread must have no KJ event loop.
//
// Where the mean gap is up to kBusyGap, the client is busy all the while, outside its event loop,
// and the CPU time of that is left out of Samples::used. In longer ones it sleeps in its event
// loop, by a timer of its own, and all that this takes counts: it is the event loop's to spin there
// or not.
absl::StatusOr<Samples> SamplePacedPings(const std::string& address, absl::Duration mean_gap,
                                         const ChannelOptions& channel, const SampleBudget& budget);

// What it takes to sleep and wake: nobody would for less.
constexpr absl::Duration kBusyGap = absl::Microseconds(50);

}  // namespace shoal
