#include "shoal/bench/word_sum.h"

#include <numeric>
#include <vector>

#include "gtest/gtest.h"

namespace shoal {
namespace {

TEST(WordSum, OfNothingIsZero) { EXPECT_EQ(WordSum(nullptr, 0), 0u); }

TEST(WordSum, CountsEveryWordOnce) {
  std::vector<uint64_t> words(27);
  std::iota(words.begin(), words.end(), 1);
  EXPECT_EQ(WordSum(words.data(), words.size() * sizeof(uint64_t)), 27u * 28 / 2);
}

TEST(WordSum, LeavesOutBytesAfterTheLastWholeWord) {
  const uint64_t words[] = {5, ~uint64_t{0}};
  EXPECT_EQ(WordSum(words, 15), 5u);
}

TEST(FilledSum, IsTheWordSumOfBytesThatAreAllTheSame) {
  const std::vector<uint8_t> bytes(24, 0x17);
  EXPECT_EQ(FilledSum(0xff17, bytes.size()), WordSum(bytes.data(), bytes.size()));
}

}  // namespace
}  // namespace shoal
