// The asking side of the benchmark's work over a channel.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "shoal/bench/channel_work.capnp.h"
#include "shoal/bench/sampling.h"

namespace shoal {

// Connects to ServeChannelWork() at `address`, warms up, samples `work` with messages of `bytes`
// until the budget is spent, and disconnects. kDataLoss where an answer is wrong.
//
// Empty, tick, whole, header: a sample is a round trip, with the request built in place. Ticks,
// blobs: it is a message of a stream, as the mean over about a millisecond, the answer included.
absl::StatusOr<Samples> SampleChannelWork(const std::string& address, schema::Work work,
                                          uint64_t bytes, const SampleBudget& budget);

// The same of the request's building alone, which is dropped then: what of a round trip is neither
// transport nor peer.
absl::StatusOr<Samples> SampleChannelBuild(const std::string& address, uint64_t bytes,
                                           const SampleBudget& budget);

// From Connect() to the answer to an empty message. The server takes one client after the other, so
// it should have some idle time to notice that the last one has gone.
absl::StatusOr<Samples> SampleChannelConnect(const std::string& address,
                                             const SampleBudget& budget);

}  // namespace shoal
