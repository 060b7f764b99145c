#include "shoal/transport/slabs.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/transport/news.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

constexpr size_t kSlabBytes = 64 << 10;
constexpr uint32_t kSlabWords = kSlabBytes / sizeof(capnp::word);
constexpr uint64_t kMany = uint64_t{1} << 30;

// An outbox's slabs and the peer that hears of them.
class SlabsTest : public testing::Test {
 protected:
  std::unique_ptr<Slabs> NewSlabs(const SlabLimits& limits) {
    return std::make_unique<Slabs>(Region::Create(limits.slab_bytes).value(), limits, doorbell_,
                                   counters_);
  }

  // What the peer was told since the last call.
  std::vector<News> Heard() {
    std::vector<News> heard;
    peer_.Drain();
    for (Doorbell::Packet& packet : peer_.TakeNews()) {
      heard.push_back(ParseNews(std::move(packet), {}).value());
    }
    return heard;
  }

  // Until the peer reads, it can be told nothing more.
  void FillSocket() {
    while (SendSlabDropped(doorbell_, 99).ok()) {
    }
  }

  std::pair<UniqueFd, UniqueFd> sockets_ = SocketPair().value();
  Doorbell doorbell_{std::move(sockets_.first)};
  Doorbell peer_{std::move(sockets_.second)};
  WriterCounters counters_{};
};

HeldBlock ClaimOrGrow(Slabs& slabs, uint32_t words) {
  std::optional<HeldBlock> held = slabs.Claim(words);
  if (!held) {
    EXPECT_TRUE(slabs.Grow(words));
    held = slabs.Claim(words);
  }
  return held.value();
}

TEST_F(SlabsTest, HaveOneSlabAtFirst) {
  const auto slabs = NewSlabs({.slab_bytes = kSlabBytes, .max_bytes = kMany});
  EXPECT_EQ(slabs->count(), 1u);
  EXPECT_EQ(slabs->bytes(), kSlabBytes);
  EXPECT_FALSE(slabs->grown());
  EXPECT_TRUE(slabs->Claim(kSlabWords).has_value());
  EXPECT_FALSE(slabs->Claim(1).has_value());
}

TEST_F(SlabsTest, GrowByASlabOfTheSizeChosen) {
  const auto slabs = NewSlabs({.slab_bytes = kSlabBytes, .max_bytes = kMany});
  const std::optional<HeldBlock> first = slabs->Claim(kSlabWords);
  ASSERT_TRUE(first.has_value());
  ASSERT_TRUE(slabs->Grow(1));
  EXPECT_TRUE(slabs->grown());
  EXPECT_EQ(slabs->bytes(), 2 * kSlabBytes);
  const std::optional<HeldBlock> held = slabs->Claim(1);
  ASSERT_TRUE(held.has_value());
  EXPECT_NE(held->slab, first->slab);
}

TEST_F(SlabsTest, GrowByWhatALargeMessageNeeds) {
  const auto slabs = NewSlabs({.slab_bytes = kSlabBytes, .max_bytes = kMany});
  for (const uint32_t words : {kSlabWords + 1, 10 * kSlabWords - 1, 100 * kSlabWords}) {
    ASSERT_TRUE(slabs->Grow(words)) << words;
    const std::optional<HeldBlock> held = slabs->Claim(words);
    ASSERT_TRUE(held.has_value()) << words;
    EXPECT_GE(held->block.words, words);
  }
}

TEST_F(SlabsTest, GrowInStepsThatNeedFewSlabsForAnyLimit) {
  const auto slabs = NewSlabs({.slab_bytes = kSlabBytes, .max_bytes = 64 << 20});
  while (slabs->Grow(1)) {
  }
  EXPECT_EQ(slabs->bytes(), 64u << 20);
  EXPECT_LT(slabs->count(), 80u);
}

TEST_F(SlabsTest, DoNotGrowAboveTheLimit) {
  const auto slabs = NewSlabs({.slab_bytes = kSlabBytes, .max_bytes = 3 * kSlabBytes});
  EXPECT_FALSE(slabs->Grow(2 * kSlabWords + 1));
  EXPECT_TRUE(slabs->Grow(2 * kSlabWords));
  EXPECT_FALSE(slabs->Grow(1));
}

TEST_F(SlabsTest, ServeAClaimFromTheOldestThatHasRoom) {
  const auto slabs = NewSlabs({.slab_bytes = kSlabBytes, .max_bytes = kMany});
  const HeldBlock first = ClaimOrGrow(*slabs, kSlabWords);
  const HeldBlock second = ClaimOrGrow(*slabs, kSlabWords);
  ASSERT_NE(second.slab, first.slab);
  slabs->Drop(second);
  slabs->Drop(first);
  EXPECT_EQ(slabs->Claim(kSlabWords)->slab, first.slab);
}

TEST_F(SlabsTest, TellThePeerOfASlabOnceAndKeepNoDescriptor) {
  const auto slabs = NewSlabs({.slab_bytes = kSlabBytes, .max_bytes = kMany});
  const size_t before = OpenDescriptors();
  ASSERT_TRUE(slabs->Grow(kSlabWords + 1));
  EXPECT_EQ(OpenDescriptors(), before) << "through which others could read what is built there";
  const HeldBlock held = slabs->Claim(kSlabWords + 1).value();
  ASSERT_THAT(slabs->Announce(*held.slab), Succeeds());
  ASSERT_THAT(slabs->Announce(*held.slab), Succeeds());
  std::vector<News> heard = Heard();
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(std::get<SlabAdded>(heard[0]).number, 1u);
  EXPECT_EQ(std::get<SlabAdded>(heard[0]).bytes, held.slab->region.size());
}

TEST_F(SlabsTest, DropASlabAtOnceThatIsMoreThanMayBeIdle) {
  const auto slabs =
      NewSlabs({.slab_bytes = kSlabBytes, .max_bytes = kMany, .max_idle_bytes = kSlabBytes});
  const HeldBlock held = ClaimOrGrow(*slabs, 2 * kSlabWords);
  ASSERT_THAT(slabs->Announce(*held.slab), Succeeds());
  slabs->DropIdle();
  EXPECT_EQ(slabs->count(), 2u) << "it is in use";
  slabs->Drop(held);
  EXPECT_EQ(slabs->DropIdle(), absl::InfiniteDuration());
  EXPECT_EQ(slabs->count(), 1u);
  EXPECT_EQ(slabs->bytes(), kSlabBytes);
  EXPECT_FALSE(slabs->grown());
  std::vector<News> heard = Heard();
  ASSERT_EQ(heard.size(), 2u);
  EXPECT_EQ(std::get<SlabDropped>(heard[1]).number, 1u);
}

TEST_F(SlabsTest, KeepAnIdleSlabForItsTime) {
  const auto slabs = NewSlabs({.slab_bytes = kSlabBytes,
                               .max_bytes = kMany,
                               .idle_time = absl::Hours(1),
                               .max_idle_bytes = kMany});
  slabs->Drop(ClaimOrGrow(*slabs, 2 * kSlabWords));
  EXPECT_EQ(slabs->DropIdle(), absl::Minutes(15));
  EXPECT_EQ(slabs->count(), 2u);
}

TEST_F(SlabsTest, DropASlabThatWasIdleForItsTime) {
  const auto slabs = NewSlabs({.slab_bytes = kSlabBytes,
                               .max_bytes = kMany,
                               .idle_time = absl::ZeroDuration(),
                               .max_idle_bytes = kMany});
  slabs->Drop(ClaimOrGrow(*slabs, 2 * kSlabWords));
  slabs->DropIdle();
  EXPECT_EQ(slabs->count(), 1u);
  const std::vector<News> heard = Heard();
  ASSERT_EQ(heard.size(), 2u);
  EXPECT_EQ(std::get<SlabDropped>(heard[1]).number, std::get<SlabAdded>(heard[0]).number);
}

TEST_F(SlabsTest, NeverUseANumberTwice) {
  const auto slabs = NewSlabs({.slab_bytes = kSlabBytes, .max_bytes = kMany});
  for (uint32_t number = 1; number <= 3; ++number) {
    const HeldBlock held = ClaimOrGrow(*slabs, 2 * kSlabWords);
    ASSERT_THAT(slabs->Announce(*held.slab), Succeeds());
    EXPECT_EQ(held.slab->number, number);
    slabs->Drop(held);
    slabs->DropIdle();
    ASSERT_EQ(slabs->count(), 1u);
  }
}

TEST_F(SlabsTest, AreNumberedInTheOrderInWhichThePeerIsTold) {
  const auto slabs = NewSlabs({.slab_bytes = kSlabBytes, .max_bytes = kMany});
  FillSocket();
  const HeldBlock older = ClaimOrGrow(*slabs, 2 * kSlabWords);
  const HeldBlock younger =
      ClaimOrGrow(*slabs, static_cast<uint32_t>(older.slab->region.size() / sizeof(capnp::word)));
  ASSERT_NE(older.slab, younger.slab);
  while (!Heard().empty()) {
  }
  ASSERT_THAT(slabs->Announce(*younger.slab), Succeeds());
  ASSERT_THAT(slabs->Announce(*older.slab), Succeeds());
  EXPECT_LT(younger.slab->number, older.slab->number);
}

TEST_F(SlabsTest, KeepASlabOfWhichThePeerCannotBeTold) {
  const auto slabs = NewSlabs({.slab_bytes = kSlabBytes, .max_bytes = kMany});
  const HeldBlock held = ClaimOrGrow(*slabs, 2 * kSlabWords);
  ASSERT_THAT(slabs->Announce(*held.slab), Succeeds());
  FillSocket();
  slabs->Drop(held);
  slabs->DropIdle();
  EXPECT_EQ(slabs->count(), 2u);
  while (!Heard().empty()) {
  }
  slabs->DropIdle();
  EXPECT_EQ(slabs->count(), 1u);
}

TEST_F(SlabsTest, KeepASlabThatThePeerStillReads) {
  const auto slabs = NewSlabs({.slab_bytes = kSlabBytes, .max_bytes = kMany});
  const HeldBlock held = ClaimOrGrow(*slabs, 2 * kSlabWords);
  slabs->Lend(held);
  slabs->Drop(held);
  slabs->DropIdle();
  EXPECT_EQ(slabs->count(), 2u);
  EXPECT_EQ(slabs->lent_blocks(), 1u);
  slabs->TakeBack(*held.slab, held.block);
  slabs->DropIdle();
  EXPECT_EQ(slabs->count(), 1u);
  EXPECT_EQ(slabs->lent_blocks(), 0u);
}

}  // namespace
}  // namespace shoal
