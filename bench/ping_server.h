// The answering side of all benchmarks of calls.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "capnp/message.h"
#include "shoal/bench/ping.capnp.h"
#include "shoal/transport/options.h"

namespace shoal {

// What both sides take: lists are summed that are larger than Cap'n Proto's default of 64 MiB.
capnp::ReaderOptions PingReaders();

// Answers every call at once. For the calling thread's KJ event loop.
schema::Ping::Client NewPingServer();

// Answers pings at `address` (as for RpcServer; of HOST:0, any free port) until the process gets
// SIGINT, SIGTERM or SIGHUP; then returns OK, with nothing left at the address, no socket file
// either. When the server can be reached, prints `serving ADDRESS`, with the port that was chosen,
// to standard output. Fails with kUnavailable where it cannot serve, or cannot go on.
//
// `channel` is of connections over shared memory.
//
// Blocks those signals in the calling thread, for good, and the process must have no other thread
// that takes them. The calling thread must have no KJ event loop.
absl::Status ServePings(const std::string& address, const ChannelOptions& channel = {});

}  // namespace shoal
