// The asking side of the benchmark's calls.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "shoal/bench/sampling.h"

namespace shoal {

enum class RpcWork {
  kPing,      // 16 bytes both ways
  kInFlight,  // the same, kCallsInFlight sent before the first answer; a sample is a 64th of all
  kSink,      // 1 MiB to the server, read whole
  kEcho,      // 1 MiB there, and back, and read whole
  kSum,       // a list of 21 million UInt64 to the server, summed
  kStream,    // 128 times 512 KiB through a streaming method; a sample is a 128th of all
};

constexpr int kCallsInFlight = 64;

// Each must be called in a thread with no KJ event loop, leaves it with none, warms up, and samples
// until the budget is spent. kDataLoss where an answer is wrong, kUnavailable where none comes.

// Of calls to the server at `address`, on a connection of their own.
absl::StatusOr<Samples> SampleCalls(const std::string& address, RpcWork work,
                                    const SampleBudget& budget);

// The same within this thread, on a LoopbackNetwork.
absl::StatusOr<Samples> SampleLoopbackCalls(RpcWork work, const SampleBudget& budget);

// A ping through each of `clients` connections of this thread, all sent before the first answer. A
// sample is the mean of a call.
absl::StatusOr<Samples> SampleManyClients(const std::string& address, int clients,
                                          const SampleBudget& budget);

// From a new RpcClient to the answer to its first ping.
absl::StatusOr<Samples> SampleRpcConnect(const std::string& address, const SampleBudget& budget);

// What each of `clients` connections, after as many others, adds to the memory that this process
// and the server have touched, see HeldMemory(), after a ping through each. The server, whose
// process is `server_pid`, must be a fresh one: a process keeps what earlier connections needed.
absl::StatusOr<Samples> SampleMemory(const std::string& address, pid_t server_pid, int clients);

}  // namespace shoal
