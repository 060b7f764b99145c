// What the round trips over one transport took.
#pragma once

#include <vector>

#include "absl/time/time.h"

namespace shoal {

// Collects round trips block by block. A block is what was measured in a row; the blocks of several
// transports take turns, so that each transport sees the machine in the same states. Not
// synchronised.
class PingTimes {
 public:
  // The round trips of one block, in any order. An empty block counts for nothing.
  void AddBlock(const std::vector<absl::Duration>& round_trips);

  // The median of the medians of the blocks: a machine that was slow for a few blocks does not move
  // it. Zero while there is no block.
  absl::Duration Median() const;

  // What 99 in 100 of all round trips stay within. Zero while there is no block.
  absl::Duration Percentile99() const;

 private:
  std::vector<absl::Duration> all_;            // every round trip added, in no order
  std::vector<absl::Duration> block_medians_;  // one for each block added
};

}  // namespace shoal
