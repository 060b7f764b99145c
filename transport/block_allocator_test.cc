#include "shoal/transport/block_allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "gtest/gtest.h"

namespace shoal {
namespace {

using Block = BlockAllocator::Block;

constexpr uint32_t kGranule = BlockAllocator::kGranuleWords;
constexpr uint64_t kGarbage = 0xdeadbeefdeadbeef;

capnp::word* AsWords(std::vector<uint64_t>& memory) {
  return reinterpret_cast<capnp::word*>(memory.data());
}

// How many words of memory[begin, end) are not 0.
size_t CountNonZero(const std::vector<uint64_t>& memory, size_t begin, size_t end) {
  return (end - begin) - std::count(memory.begin() + begin, memory.begin() + end, 0);
}

// Sizes

TEST(BlockAllocator, ClaimsTheWholeSlabAsOneBlock) {
  BlockAllocator blocks(1000 * kGranule);
  EXPECT_EQ(blocks.Claim(1000 * kGranule), (Block{0, 1000 * kGranule}));
}

TEST(BlockAllocator, LeavesOutWordsBeyondTheLastWholeGranule) {
  BlockAllocator blocks(3 * kGranule + kGranule - 1);
  EXPECT_EQ(blocks.slab_words(), 3 * kGranule);
  EXPECT_EQ(blocks.Claim(3 * kGranule + 1), std::nullopt);
  EXPECT_EQ(blocks.Claim(3 * kGranule), (Block{0, 3 * kGranule}));
}

TEST(BlockAllocator, HasNoBlocksInASlabSmallerThanAGranule) {
  BlockAllocator blocks(kGranule - 1);
  EXPECT_EQ(blocks.slab_words(), 0u);
  EXPECT_EQ(blocks.LargestClaimWords(), 0u);
  EXPECT_EQ(blocks.Claim(1), std::nullopt);
}

TEST(BlockAllocator, RoundsClaimsUpToWholeGranules) {
  BlockAllocator blocks(100 * kGranule);
  EXPECT_EQ(blocks.Claim(0)->words, kGranule);
  EXPECT_EQ(blocks.Claim(1)->words, kGranule);
  EXPECT_EQ(blocks.Claim(kGranule)->words, kGranule);
  EXPECT_EQ(blocks.Claim(kGranule + 1)->words, 2 * kGranule);
}

TEST(BlockAllocator, RefusesAClaimLargerThanTheSlab) {
  BlockAllocator blocks(100 * kGranule);
  EXPECT_EQ(blocks.Claim(100 * kGranule + 1), std::nullopt);
  EXPECT_EQ(blocks.Claim(UINT32_MAX), std::nullopt);
  EXPECT_EQ(blocks.free_words(), 100 * kGranule);
}

TEST(BlockAllocator, ReturnsNothingWhenExhaustedAndRecovers) {
  BlockAllocator blocks(2 * kGranule);
  const Block first = *blocks.Claim(kGranule);
  ASSERT_TRUE(blocks.Claim(kGranule));
  EXPECT_EQ(blocks.Claim(1), std::nullopt);
  blocks.Drop(first);
  EXPECT_EQ(blocks.Claim(1), first);
}

TEST(BlockAllocator, CountsWhatIsFreeClaimedAndLent) {
  BlockAllocator blocks(100 * kGranule);
  const Block lent = *blocks.Claim(10 * kGranule);
  const Block mine = *blocks.Claim(5 * kGranule);
  blocks.Lend(lent);
  EXPECT_EQ(blocks.free_words(), 85 * kGranule);
  EXPECT_EQ(blocks.claimed_blocks(), 2u);
  EXPECT_EQ(blocks.lent_blocks(), 1u);
  blocks.Drop(mine);
  blocks.Drop(lent);
  blocks.TakeBack(lent);
  EXPECT_EQ(blocks.free_words(), 100 * kGranule);
  EXPECT_EQ(blocks.claimed_blocks(), 0u);
  EXPECT_EQ(blocks.lent_blocks(), 0u);
}

// Who still uses a block

TEST(BlockAllocator, ReusesABlockThatWasNeverLentOnceItIsDropped) {
  BlockAllocator blocks(kGranule);
  const Block block = *blocks.Claim(1);
  blocks.Drop(block);
  EXPECT_EQ(blocks.Claim(1), block);
}

TEST(BlockAllocator, KeepsADroppedBlockUntilThePeerGivesItBack) {
  BlockAllocator blocks(kGranule);
  const Block block = *blocks.Claim(1);
  blocks.Lend(block);
  blocks.Drop(block);
  EXPECT_EQ(blocks.Claim(1), std::nullopt);
  blocks.TakeBack(block);
  EXPECT_EQ(blocks.Claim(1), block);
}

TEST(BlockAllocator, KeepsABlockThatThePeerGaveBackUntilItIsDropped) {
  BlockAllocator blocks(kGranule);
  const Block block = *blocks.Claim(1);
  blocks.Lend(block);
  blocks.TakeBack(block);
  EXPECT_EQ(blocks.Claim(1), std::nullopt);
  blocks.Drop(block);
  EXPECT_EQ(blocks.Claim(1), block);
}

TEST(BlockAllocator, FindsALentBlockByItsOffset) {
  BlockAllocator blocks(10 * kGranule);
  ASSERT_TRUE(blocks.Claim(kGranule));
  const Block block = *blocks.Claim(3 * kGranule);
  blocks.Lend(block);
  EXPECT_EQ(blocks.LentBlockAt(kGranule), block);
  blocks.Drop(block);
  EXPECT_EQ(blocks.LentBlockAt(kGranule), block);
}

TEST(BlockAllocator, FindsNoLentBlockWhereNoneBegins) {
  BlockAllocator blocks(10 * kGranule);
  const Block lent = *blocks.Claim(3 * kGranule);
  blocks.Lend(lent);
  const Block mine = *blocks.Claim(kGranule);
  EXPECT_EQ(blocks.LentBlockAt(1), std::nullopt);
  EXPECT_EQ(blocks.LentBlockAt(kGranule), std::nullopt);
  EXPECT_EQ(blocks.LentBlockAt(2 * kGranule), std::nullopt);
  EXPECT_EQ(blocks.LentBlockAt(mine.offset_words), std::nullopt);
  EXPECT_EQ(blocks.LentBlockAt(4 * kGranule), std::nullopt);
  EXPECT_EQ(blocks.LentBlockAt(10 * kGranule), std::nullopt);
  EXPECT_EQ(blocks.LentBlockAt(UINT32_MAX), std::nullopt);
  EXPECT_EQ(blocks.LentBlockAt(UINT32_MAX - (kGranule - 1)), std::nullopt);
}

TEST(BlockAllocator, FindsALentBlockNoMoreOnceItWasTakenBack) {
  BlockAllocator blocks(10 * kGranule);
  const Block mine = *blocks.Claim(kGranule);
  const Block dropped = *blocks.Claim(kGranule);
  blocks.Lend(mine);
  blocks.Lend(dropped);
  blocks.Drop(dropped);
  blocks.TakeBack(mine);
  blocks.TakeBack(dropped);
  EXPECT_EQ(blocks.LentBlockAt(mine.offset_words), std::nullopt);
  EXPECT_EQ(blocks.LentBlockAt(dropped.offset_words), std::nullopt);
}

// Trimming

TEST(BlockAllocator, TrimFreesTheGranulesThatAreNotUsed) {
  BlockAllocator blocks(10 * kGranule);
  const Block block = *blocks.Claim(10 * kGranule);
  const Block left = blocks.Trim(block, 2 * kGranule + 1);
  EXPECT_EQ(left, (Block{0, 3 * kGranule}));
  EXPECT_EQ(blocks.free_words(), 7 * kGranule);
  EXPECT_EQ(blocks.Claim(7 * kGranule), (Block{3 * kGranule, 7 * kGranule}));
}

TEST(BlockAllocator, TrimJoinsTheTailToTheFreeBlockBehindIt) {
  BlockAllocator blocks(10 * kGranule);
  blocks.Trim(*blocks.Claim(5 * kGranule), kGranule);
  EXPECT_EQ(blocks.Claim(9 * kGranule), (Block{kGranule, 9 * kGranule}));
}

TEST(BlockAllocator, TrimKeepsAGranuleOfABlockThatIsNotUsed) {
  BlockAllocator blocks(10 * kGranule);
  EXPECT_EQ(blocks.Trim(*blocks.Claim(5 * kGranule), 0), (Block{0, kGranule}));
}

TEST(BlockAllocator, TrimFreesASingleGranule) {
  BlockAllocator blocks(10 * kGranule);
  EXPECT_EQ(blocks.Trim(*blocks.Claim(5 * kGranule), 4 * kGranule), (Block{0, 4 * kGranule}));
  EXPECT_EQ(blocks.free_words(), 6 * kGranule);
}

TEST(BlockAllocator, TrimLeavesAFullBlockAsItIs) {
  BlockAllocator blocks(10 * kGranule);
  const Block block = *blocks.Claim(5 * kGranule);
  EXPECT_EQ(blocks.Trim(block, 4 * kGranule + 1), block);
  EXPECT_EQ(blocks.free_words(), 5 * kGranule);
}

TEST(BlockAllocator, TrimDoesNotCountAsFreeingABlock) {
  BlockAllocator blocks(10 * kGranule);
  const Block left = blocks.Trim(*blocks.Claim(5 * kGranule), kGranule);
  EXPECT_EQ(blocks.claimed_blocks(), 1u);
  blocks.Drop(left);
  EXPECT_EQ(blocks.claimed_blocks(), 0u);
  EXPECT_EQ(blocks.LargestClaimWords(), 10 * kGranule);
}

TEST(BlockAllocator, TheBlockBeforeATrimmedOneDoesNotJoinIt) {
  BlockAllocator blocks(10 * kGranule);
  const Block before = *blocks.Claim(kGranule);
  const Block left = blocks.Trim(*blocks.Claim(9 * kGranule), 2 * kGranule);
  const Block behind = *blocks.Claim(7 * kGranule);
  blocks.Drop(before);
  blocks.Drop(behind);
  EXPECT_EQ(blocks.LargestClaimWords(), 7 * kGranule);
  blocks.Drop(left);
  EXPECT_EQ(blocks.LargestClaimWords(), 10 * kGranule);
}

// Which block is chosen

TEST(BlockAllocator, SplitsBlocksFromTheLowEnd) {
  BlockAllocator blocks(10 * kGranule);
  EXPECT_EQ(blocks.Claim(3 * kGranule)->offset_words, 0u);
  EXPECT_EQ(blocks.Claim(kGranule)->offset_words, 3 * kGranule);
  EXPECT_EQ(blocks.Claim(kGranule)->offset_words, 4 * kGranule);
}

TEST(BlockAllocator, PrefersTheBlockThatWasFreedLast) {
  BlockAllocator blocks(10 * kGranule);
  const Block older = *blocks.Claim(kGranule);
  ASSERT_TRUE(blocks.Claim(kGranule));
  const Block newer = *blocks.Claim(kGranule);
  ASSERT_TRUE(blocks.Claim(kGranule));
  blocks.Drop(older);
  blocks.Drop(newer);
  EXPECT_EQ(blocks.Claim(kGranule), newer);
  EXPECT_EQ(blocks.Claim(kGranule), older);
}

TEST(BlockAllocator, PrefersTouchedMemoryToATighterFitAtTheSlabsEnd) {
  BlockAllocator blocks(100 * kGranule);
  const Block touched = *blocks.Claim(60 * kGranule);
  ASSERT_TRUE(blocks.Claim(30 * kGranule));
  blocks.Drop(touched);
  EXPECT_EQ(blocks.Claim(10 * kGranule)->offset_words, touched.offset_words);
}

// 65 granules share a class with 64, so not every block of the class is large enough.
TEST(BlockAllocator, ReusesABlockForAClaimOfItsSizeInAClassOfSeveralSizes) {
  BlockAllocator blocks(1000 * kGranule);
  const Block touched = *blocks.Claim(65 * kGranule);
  ASSERT_TRUE(blocks.Claim(kGranule));
  blocks.Drop(touched);
  EXPECT_EQ(blocks.Claim(65 * kGranule), touched);
}

TEST(BlockAllocator, PassesOverABlockOfTheSameClassThatIsTooSmall) {
  BlockAllocator blocks(1000 * kGranule);
  const Block small = *blocks.Claim(64 * kGranule);
  ASSERT_TRUE(blocks.Claim(kGranule));
  blocks.Drop(small);
  EXPECT_EQ(blocks.Claim(65 * kGranule), (Block{65 * kGranule, 65 * kGranule}));
}

TEST(BlockAllocator, TakesTheSmallestBlockThatFits) {
  BlockAllocator blocks(1000 * kGranule);
  const Block large = *blocks.Claim(300 * kGranule);
  ASSERT_TRUE(blocks.Claim(kGranule));
  const Block small = *blocks.Claim(10 * kGranule);
  ASSERT_TRUE(blocks.Claim(kGranule));
  blocks.Drop(small);
  blocks.Drop(large);
  EXPECT_EQ(blocks.Claim(9 * kGranule)->offset_words, small.offset_words);
}

// The largest size that has a class of its own.
TEST(BlockAllocator, FindsABlockOf63GranulesBehindOneOf62ThatWasFreedLater) {
  BlockAllocator blocks(127 * kGranule);
  const Block larger = *blocks.Claim(63 * kGranule);
  ASSERT_TRUE(blocks.Claim(kGranule));
  const Block smaller = *blocks.Claim(62 * kGranule);
  ASSERT_TRUE(blocks.Claim(kGranule));
  blocks.Drop(larger);
  blocks.Drop(smaller);
  EXPECT_EQ(blocks.Claim(63 * kGranule), larger);
}

TEST(BlockAllocator, RefusesAClaimThatTheSlabsEndIsTooSmallFor) {
  BlockAllocator blocks(10 * kGranule);
  ASSERT_TRUE(blocks.Claim(8 * kGranule));
  EXPECT_EQ(blocks.LargestClaimWords(), 2 * kGranule);
  EXPECT_EQ(blocks.Claim(3 * kGranule), std::nullopt);
  EXPECT_TRUE(blocks.Claim(2 * kGranule));
}

TEST(BlockAllocator, SaysHowLargeAClaimSucceedsWhenASmallerBlockHidesALargerOne) {
  BlockAllocator blocks(132 * kGranule);
  const Block larger = *blocks.Claim(65 * kGranule);
  ASSERT_TRUE(blocks.Claim(kGranule));
  const Block smaller = *blocks.Claim(64 * kGranule);
  ASSERT_TRUE(blocks.Claim(kGranule));
  blocks.Drop(larger);
  blocks.Drop(smaller);
  EXPECT_EQ(blocks.LargestClaimWords(), 64 * kGranule);
  EXPECT_EQ(blocks.Claim(65 * kGranule), std::nullopt);
  EXPECT_EQ(blocks.Claim(64 * kGranule), smaller);
}

// Joining

class DropOrder : public testing::TestWithParam<std::vector<int>> {};

TEST_P(DropOrder, DoesNotMatterForJoiningBlocksAgain) {
  BlockAllocator blocks(130 * kGranule);
  const Block claimed[] = {*blocks.Claim(kGranule), *blocks.Claim(40 * kGranule),
                           *blocks.Claim(89 * kGranule)};
  for (int index : GetParam()) {
    blocks.Drop(claimed[index]);
  }
  EXPECT_EQ(blocks.Claim(130 * kGranule), (Block{0, 130 * kGranule}));
}

INSTANTIATE_TEST_SUITE_P(BlockAllocator, DropOrder,
                         testing::Values(std::vector{0, 1, 2}, std::vector{0, 2, 1},
                                         std::vector{1, 0, 2}, std::vector{1, 2, 0},
                                         std::vector{2, 0, 1}, std::vector{2, 1, 0}));

TEST(BlockAllocator, DoesNotJoinAcrossABlockInUse) {
  BlockAllocator blocks(3 * kGranule);
  const Block low = *blocks.Claim(kGranule);
  ASSERT_TRUE(blocks.Claim(kGranule));
  const Block high = *blocks.Claim(kGranule);
  blocks.Drop(low);
  blocks.Drop(high);
  EXPECT_EQ(blocks.Claim(2 * kGranule), std::nullopt);
}

// Zeroing

TEST(BlockAllocator, ClearZeroesTheGranulesMarkedDirtyAndNoOthers) {
  BlockAllocator blocks(10 * kGranule);
  std::vector<uint64_t> slab(10 * kGranule, kGarbage);
  ASSERT_TRUE(blocks.Claim(kGranule));
  const Block block = *blocks.Claim(5 * kGranule);
  blocks.MarkDirty(block, kGranule + 1);
  blocks.Clear(block, AsWords(slab));
  EXPECT_EQ(CountNonZero(slab, 0, kGranule), kGranule);
  EXPECT_EQ(CountNonZero(slab, kGranule, 3 * kGranule), 0u);
  EXPECT_EQ(CountNonZero(slab, 3 * kGranule, 10 * kGranule), 7 * kGranule);
}

TEST(BlockAllocator, ClearWritesNothingInASlabThatIsNew) {
  BlockAllocator blocks(10 * kGranule);
  std::vector<uint64_t> slab(10 * kGranule, kGarbage);
  const Block block = *blocks.Claim(10 * kGranule);
  blocks.MarkDirty(block, 0);
  blocks.Clear(block, AsWords(slab));
  EXPECT_EQ(CountNonZero(slab, 0, 10 * kGranule), 10 * kGranule);
}

TEST(BlockAllocator, ClearWritesNothingThatIsCleanSinceItWasCleared) {
  BlockAllocator blocks(10 * kGranule);
  std::vector<uint64_t> slab(10 * kGranule, kGarbage);
  const Block block = *blocks.Claim(10 * kGranule);
  blocks.MarkDirty(block, 10 * kGranule);
  blocks.Clear(block, AsWords(slab));
  slab[7] = kGarbage;
  blocks.Clear(block, AsWords(slab));
  EXPECT_EQ(slab[7], kGarbage);
}

TEST(BlockAllocator, ClearLeavesDirtyNeighboursAlone) {
  BlockAllocator blocks(3 * kGranule);
  std::vector<uint64_t> slab(3 * kGranule, kGarbage);
  const Block below = *blocks.Claim(kGranule);
  const Block block = *blocks.Claim(kGranule);
  const Block above = *blocks.Claim(kGranule);
  blocks.MarkDirty(below, kGranule);
  blocks.MarkDirty(block, kGranule);
  blocks.MarkDirty(above, kGranule);
  blocks.Clear(block, AsWords(slab));
  EXPECT_EQ(CountNonZero(slab, 0, kGranule), kGranule);
  EXPECT_EQ(CountNonZero(slab, kGranule, 2 * kGranule), 0u);
  EXPECT_EQ(CountNonZero(slab, 2 * kGranule, 3 * kGranule), kGranule);
  blocks.Clear(below, AsWords(slab));
  blocks.Clear(above, AsWords(slab));
  EXPECT_EQ(CountNonZero(slab, 0, 3 * kGranule), 0u);
}

TEST(BlockAllocator, ClearRemembersWhatThePiecesOfABlockWereUsedFor) {
  BlockAllocator blocks(3 * kGranule);
  std::vector<uint64_t> slab(3 * kGranule, kGarbage);
  const Block low = *blocks.Claim(kGranule);
  const Block middle = *blocks.Claim(kGranule);
  const Block high = *blocks.Claim(kGranule);
  blocks.MarkDirty(low, kGranule);
  blocks.MarkDirty(high, 1);
  blocks.Drop(low);
  blocks.Drop(middle);
  blocks.Drop(high);
  blocks.Clear(*blocks.Claim(3 * kGranule), AsWords(slab));
  EXPECT_EQ(CountNonZero(slab, 0, kGranule), 0u);
  EXPECT_EQ(CountNonZero(slab, kGranule, 2 * kGranule), kGranule);
  EXPECT_EQ(CountNonZero(slab, 2 * kGranule, 3 * kGranule), 0u);
}

TEST(BlockAllocator, ClearCoversABlockOfHundredsOfGranules) {
  BlockAllocator blocks(400 * kGranule);
  std::vector<uint64_t> slab(400 * kGranule, kGarbage);
  ASSERT_TRUE(blocks.Claim(10 * kGranule));
  const Block block = *blocks.Claim(350 * kGranule);
  blocks.MarkDirty(block, 300 * kGranule);
  blocks.Clear(block, AsWords(slab));
  EXPECT_EQ(CountNonZero(slab, 0, 10 * kGranule), 10 * kGranule);
  EXPECT_EQ(CountNonZero(slab, 10 * kGranule, 310 * kGranule), 0u);
  EXPECT_EQ(CountNonZero(slab, 310 * kGranule, 400 * kGranule), 90 * kGranule);
}

// The largest slab

TEST(BlockAllocator, ClaimsAllOfTheLargestSlab) {
  constexpr uint32_t kLargest = UINT32_MAX / kGranule * kGranule;
  BlockAllocator blocks(UINT32_MAX);
  EXPECT_EQ(blocks.slab_words(), kLargest);
  EXPECT_EQ(blocks.free_words(), kLargest);
  EXPECT_EQ(blocks.LargestClaimWords(), kLargest);
  EXPECT_EQ(blocks.Claim(UINT32_MAX), std::nullopt);
  EXPECT_EQ(blocks.Claim(kLargest), (Block{0, kLargest}));
}

TEST(BlockAllocator, SplitsAndJoinsTheLargestSlab) {
  constexpr uint32_t kLargest = UINT32_MAX / kGranule * kGranule;
  constexpr uint32_t kHalf = 1u << 31;
  BlockAllocator blocks(UINT32_MAX);
  const Block low = *blocks.Claim(kHalf);
  const Block high = *blocks.Claim(kLargest - kHalf);
  EXPECT_EQ(high, (Block{kHalf, kLargest - kHalf}));
  EXPECT_EQ(blocks.Claim(1), std::nullopt);
  blocks.Drop(low);
  EXPECT_EQ(blocks.LargestClaimWords(), kHalf);
  blocks.Drop(high);
  EXPECT_EQ(blocks.LargestClaimWords(), kLargest);
}

TEST(BlockAllocator, ClearsABlockThatLiesBeyondFourGibibytes) {
  constexpr uint32_t kFourGibibytes = 1u << 29;
  constexpr uint32_t kWords = kFourGibibytes + kGranule;
  void* mapping = mmap(nullptr, size_t{kWords} * sizeof(uint64_t), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(mapping, MAP_FAILED);
  uint64_t* words = static_cast<uint64_t*>(mapping);
  words[0] = kGarbage;
  words[kFourGibibytes] = kGarbage;
  BlockAllocator blocks(kWords);
  ASSERT_TRUE(blocks.Claim(kFourGibibytes));
  const Block block = *blocks.Claim(kGranule);
  blocks.MarkDirty(block, 1);
  blocks.Clear(block, static_cast<capnp::word*>(mapping));
  EXPECT_EQ(words[0], kGarbage);
  EXPECT_EQ(words[kFourGibibytes], 0u);
  munmap(mapping, size_t{kWords} * sizeof(uint64_t));
}

TEST(BlockAllocator, UsesWhatItsOffsetsReachOfASlabOfAnySize) {
  constexpr uint32_t kMost =
      UINT32_MAX / BlockAllocator::kGranuleWords * BlockAllocator::kGranuleWords;
  for (const uint64_t words : {uint64_t{1} << 32, (uint64_t{1} << 32) + 64, uint64_t{1} << 40}) {
    BlockAllocator allocator(words);
    EXPECT_EQ(allocator.slab_words(), kMost) << words;
    EXPECT_TRUE(allocator.Claim(1).has_value());
  }
}

}  // namespace
}  // namespace shoal
