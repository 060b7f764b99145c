// What it costs to claim a block and to free it again.
#include <cstdint>
#include <optional>
#include <vector>

#include "benchmark/benchmark.h"
#include "shoal/bench/allocations_counter.h"
#include "shoal/transport/block_allocator.h"

namespace shoal {
namespace {

// 64 MiB.
constexpr uint32_t kSlabWords = 8u << 20;

// The argument of each benchmark is the size of the claims in words: one granule, a page's worth of
// granules eight times over, and a mebibyte.
void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("words")->Arg(64)->Arg(4096)->Arg(131072);
}

void ClaimAndDrop(benchmark::State& state) {
  BlockAllocator blocks(kSlabWords);
  const uint32_t words = state.range(0);
  AllocationsCounter allocations(state);
  for (auto _ : state) {
    std::optional<BlockAllocator::Block> block = blocks.Claim(words);
    benchmark::DoNotOptimize(block);
    blocks.Drop(*block);
  }
}
BENCHMARK(ClaimAndDrop)->Apply(Sizes);

// The life of a message's block, receipt included.
void ClaimLendDropAndTakeBack(benchmark::State& state) {
  BlockAllocator blocks(kSlabWords);
  const uint32_t words = state.range(0);
  AllocationsCounter allocations(state);
  for (auto _ : state) {
    std::optional<BlockAllocator::Block> block = blocks.Claim(words);
    benchmark::DoNotOptimize(block);
    blocks.Lend(*block);
    blocks.Drop(*block);
    blocks.TakeBack(*blocks.LentBlockAt(block->offset_words));
  }
}
BENCHMARK(ClaimLendDropAndTakeBack)->Apply(Sizes);

// Half of the slab is free in thousands of pieces, so each claim splits a block and each drop joins
// two; the time should not depend on how many there are.
void ClaimAndDropInAFragmentedSlab(benchmark::State& state) {
  BlockAllocator blocks(kSlabWords);
  std::vector<BlockAllocator::Block> holes;
  for (uint32_t granules = 1; blocks.free_words() > kSlabWords / 2; granules = granules % 100 + 1) {
    holes.push_back(*blocks.Claim(granules * BlockAllocator::kGranuleWords));
    blocks.Claim(BlockAllocator::kGranuleWords);
  }
  for (const BlockAllocator::Block& hole : holes) {
    blocks.Drop(hole);
  }
  const uint32_t words = state.range(0);
  AllocationsCounter allocations(state);
  for (auto _ : state) {
    std::optional<BlockAllocator::Block> block = blocks.Claim(words);
    benchmark::DoNotOptimize(block);
    blocks.Drop(*block);
  }
}
BENCHMARK(ClaimAndDropInAFragmentedSlab)->Apply(Sizes);

}  // namespace
}  // namespace shoal
