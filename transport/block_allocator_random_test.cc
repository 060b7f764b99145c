// BlockAllocator against the simplest model of it, over long runs of random use.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "shoal/transport/block_allocator.h"

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

// What a slab's granules are used for, in the simplest form: one flag for each.
class ReferenceSlab {
 public:
  explicit ReferenceSlab(uint32_t words) : used_(words / kGranule, 0) {}

  bool IsFree(Block block) const {
    return std::count(Begin(block), End(block), 0) == block.words / kGranule;
  }
  void Use(Block block) { std::fill(Begin(block), End(block), 1); }
  void Free(Block block) { std::fill(Begin(block), End(block), 0); }

  uint32_t FreeWords() const { return std::count(used_.begin(), used_.end(), 0) * kGranule; }

  uint32_t LargestFreeWords() const {
    uint32_t largest = 0;
    uint32_t run = 0;
    for (uint8_t used : used_) {
      run = used ? 0 : run + 1;
      largest = std::max(largest, run);
    }
    return largest * kGranule;
  }

 private:
  std::vector<uint8_t>::const_iterator Begin(Block block) const {
    return used_.begin() + block.offset_words / kGranule;
  }
  std::vector<uint8_t>::const_iterator End(Block block) const {
    return Begin(block) + block.words / kGranule;
  }
  std::vector<uint8_t>::iterator Begin(Block block) {
    return used_.begin() + block.offset_words / kGranule;
  }
  std::vector<uint8_t>::iterator End(Block block) { return Begin(block) + block.words / kGranule; }

  std::vector<uint8_t> used_;
};

// A number of words whose logarithm is evenly spread, so that small and large blocks both are
// common.
uint32_t RandomWords(std::mt19937& random, uint32_t max_log2) {
  const uint32_t limit = 1u << std::uniform_int_distribution<uint32_t>(0, max_log2)(random);
  return std::uniform_int_distribution<uint32_t>(0, limit)(random);
}

Block TakeRandom(std::mt19937& random, std::vector<Block>& from) {
  const size_t index = std::uniform_int_distribution<size_t>(0, from.size() - 1)(random);
  std::swap(from[index], from.back());
  const Block taken = from.back();
  from.pop_back();
  return taken;
}

constexpr uint32_t kRandomSlabWords = 600 * kGranule;

// Does one random thing after the other to an allocator and to the reference, and compares them.
class RandomUser {
 public:
  explicit RandomUser(uint32_t seed) : random_(seed) {}

  void Step() {
    switch (random_() % 8) {
      case 0:
      case 1:
      case 2:
        return Claim();
      case 3:
        return mine_.empty() ? void() : Trim();
      case 4:
        return mine_.empty() ? void() : Lend();
      case 5:
        return mine_.empty() ? void() : Drop();
      case 6:
        return both_.empty() ? void() : EndOneUse();
      case 7:
        return peers_.empty() ? void() : TakeBack();
    }
  }

  void EndAllUse() {
    while (!both_.empty()) {
      EndOneUse();
    }
    while (!mine_.empty()) {
      Drop();
    }
    while (!peers_.empty()) {
      TakeBack();
    }
  }

  bool SlabIsWhole() const { return blocks_.LargestClaimWords() == kRandomSlabWords; }

  void Compare() const {
    EXPECT_EQ(blocks_.free_words(), reference_.FreeWords());
    EXPECT_EQ(blocks_.claimed_blocks(), mine_.size() + both_.size() + peers_.size());
    EXPECT_EQ(blocks_.lent_blocks(), both_.size() + peers_.size());
    const uint32_t largest = reference_.LargestFreeWords();
    EXPECT_LE(blocks_.LargestClaimWords(), largest);
    EXPECT_GE(blocks_.LargestClaimWords(), largest - largest / 32);
  }

 private:
  void Claim() {
    const uint32_t words = RandomWords(random_, 15);
    const uint32_t largest = blocks_.LargestClaimWords();
    const std::optional<Block> block = blocks_.Claim(words);
    ASSERT_EQ(block.has_value(), std::max(words, 1u) <= largest);
    if (!block) {
      return;
    }
    ASSERT_GE(block->words, words);
    ASSERT_LE(block->offset_words, kRandomSlabWords - block->words);
    ASSERT_TRUE(reference_.IsFree(*block));
    reference_.Use(*block);
    mine_.push_back(*block);
  }

  void Trim() {
    const Block block = TakeRandom(random_, mine_);
    const Block left = blocks_.Trim(block, RandomWords(random_, 15) % (block.words + 1));
    EXPECT_EQ(left.offset_words, block.offset_words);
    reference_.Free(block);
    reference_.Use(left);
    mine_.push_back(left);
  }

  void Lend() {
    both_.push_back(TakeRandom(random_, mine_));
    blocks_.Lend(both_.back());
  }

  void EndOneUse() {
    const Block block = TakeRandom(random_, both_);
    if (random_() % 2) {
      blocks_.Drop(block);
      peers_.push_back(block);
      return;
    }
    blocks_.TakeBack(block);
    mine_.push_back(block);
  }

  void Drop() {
    const Block block = TakeRandom(random_, mine_);
    blocks_.Drop(block);
    reference_.Free(block);
  }

  void TakeBack() {
    const Block block = TakeRandom(random_, peers_);
    EXPECT_EQ(blocks_.LentBlockAt(block.offset_words), block);
    blocks_.TakeBack(block);
    reference_.Free(block);
  }

  std::mt19937 random_;
  BlockAllocator blocks_{kRandomSlabWords};
  ReferenceSlab reference_{kRandomSlabWords};
  std::vector<Block> mine_;
  std::vector<Block> both_;
  std::vector<Block> peers_;
};

class RandomUse : public testing::TestWithParam<uint32_t> {};

TEST_P(RandomUse, NeverHandsOutMemoryInUseAndLosesNone) {
  RandomUser user(GetParam());
  for (int step = 0; step < 20000 && !HasFailure(); ++step) {
    user.Step();
    user.Compare();
  }
  user.EndAllUse();
  user.Compare();
  EXPECT_TRUE(user.SlabIsWhole());
}

TEST_P(RandomUse, FindsEachClearedBlockZero) {
  constexpr uint32_t kWords = 200 * kGranule;
  std::mt19937 random(GetParam());
  BlockAllocator blocks(kWords);
  std::vector<uint64_t> slab(kWords, 0);
  std::vector<Block> claimed;
  for (int step = 0; step < 5000; ++step) {
    const std::optional<Block> block = blocks.Claim(RandomWords(random, 13));
    if (!block) {
      blocks.Drop(TakeRandom(random, claimed));
      continue;
    }
    blocks.Clear(*block, AsWords(slab));
    ASSERT_EQ(CountNonZero(slab, block->offset_words, block->offset_words + block->words), 0u);
    const uint32_t used = RandomWords(random, 13) % (block->words + 1);
    std::fill_n(slab.begin() + block->offset_words, used, kGarbage);
    blocks.MarkDirty(*block, used);
    claimed.push_back(blocks.Trim(*block, used));
    if (random() % 2) {
      blocks.Drop(TakeRandom(random, claimed));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(BlockAllocator, RandomUse, testing::Values(1, 2, 3));

}  // namespace
}  // namespace shoal
