#include "shoal/bench/call_blocks.h"

#include <utility>

#include "shoal/bench/median.h"

namespace shoal {
namespace {

template <typename Measure>
auto MedianOf(const std::vector<CallBlock>& blocks, Measure measure) {
  std::vector<decltype(measure(blocks.front()))> values;
  for (const CallBlock& block : blocks) {
    values.push_back(measure(block));
  }
  return Median(std::move(values));
}

}  // namespace

absl::Duration Limit(CallLimit limit, const CallBlock& block) {
  switch (limit) {
    case CallLimit::kHandovers:
      return block.Loopback() + 2 * block.floor.Mean();
    case CallLimit::kRead:
      return 1.1 * block.Loopback() + block.read;
  }
  return absl::ZeroDuration();
}

CallSummary Summarize(CallLimit limit, const std::vector<CallBlock>& blocks) {
  return {.blocks = blocks.size(),
          .shm = MedianOf(blocks, [](const CallBlock& block) { return block.shm; }),
          .client_loopback =
              MedianOf(blocks, [](const CallBlock& block) { return block.client_loopback; }),
          .server_loopback =
              MedianOf(blocks, [](const CallBlock& block) { return block.server_loopback; }),
          .floor = MedianOf(blocks, [](const CallBlock& block) { return block.floor.Mean(); }),
          .read = MedianOf(blocks, [](const CallBlock& block) { return block.read; }),
          .limit = MedianOf(blocks, [&](const CallBlock& block) { return Limit(limit, block); }),
          .ratio = MedianOf(blocks, [&](const CallBlock& block) {
            return absl::FDivDuration(block.shm, Limit(limit, block));
          })};
}

}  // namespace shoal
