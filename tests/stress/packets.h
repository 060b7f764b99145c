// A sequence of messages of random size that both ends of a channel know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "absl/status/status.h"
#include "shoal/tests/stress/packet.capnp.h"

namespace shoal::stress {

// What one message is: the sizes of its pieces in bytes, all together at most what was asked for.
struct Plan {
  uint64_t number = 0;
  std::vector<size_t> pieces;

  size_t bytes() const;
};

// The plans, one after the other; the same for the same seed.
class Plans {
 public:
  Plans(uint64_t seed, size_t max_bytes) : random_(seed), max_bytes_(max_bytes) {}

  const Plan& Next();

 private:
  std::mt19937_64 random_;
  const size_t max_bytes_;
  Plan plan_;
  uint64_t next_number_ = 0;
};

void Build(Packet::Builder packet, const Plan& plan);

// kDataLoss names the first thing that is not as planned: the message, the place, what was expected
// and what came.
absl::Status Verify(Packet::Reader packet, const Plan& plan);

}  // namespace shoal::stress
