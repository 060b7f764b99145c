#include "shoal/transport/peer_slabs.h"

#include <cstdint>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/transport/options.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr size_t kBytes = 64 << 10;
constexpr uint32_t kWords = kBytes / sizeof(capnp::word);

const Peer kPeer = {.address = "shm:test", .pid = 4711};

// A slab of the peer's, as its owner has it.
Region NewRegion(size_t bytes = kBytes) { return Region::Create(bytes).value(); }

absl::Status Add(PeerSlabs& slabs, uint32_t number, size_t bytes = kBytes) {
  return slabs.Add(number, bytes, NewRegion(bytes).ReleaseFd(), kPeer);
}

TEST(PeerSlabs, FindsBlocksWhereTheirOwnerHasThem) {
  PeerSlabs slabs(kBytes);
  Region region = NewRegion();
  reinterpret_cast<uint64_t*>(region.data())[100] = 42;
  ASSERT_THAT(slabs.Add(7, kBytes, region.ReleaseFd(), kPeer), Succeeds());
  const auto found = slabs.Find({.slab = 7, .offset_words = 100, .words = 2});
  ASSERT_TRUE(found.has_value());
  ASSERT_EQ(found->words.size(), 2u);
  EXPECT_EQ(reinterpret_cast<const uint64_t*>(found->words.data())[0], 42u);
}

TEST(PeerSlabs, FindsBlocksUpToTheEndOfTheSlab) {
  PeerSlabs slabs(kBytes);
  ASSERT_THAT(Add(slabs, 0), Succeeds());
  EXPECT_TRUE(slabs.Find({.offset_words = 0, .words = kWords}).has_value());
  EXPECT_TRUE(slabs.Find({.offset_words = kWords - 1, .words = 1}).has_value());
  EXPECT_TRUE(slabs.Find({.offset_words = kWords, .words = 0}).has_value());
}

TEST(PeerSlabs, FindsNothingInASlabThatIsNotThere) {
  PeerSlabs slabs(kBytes);
  ASSERT_THAT(Add(slabs, 0), Succeeds());
  EXPECT_FALSE(slabs.Find({.slab = 1, .words = 1}).has_value());
  EXPECT_FALSE(slabs.Find({.slab = UINT32_MAX, .words = 1}).has_value());
}

TEST(PeerSlabs, FindsNothingBeyondTheSlab) {
  PeerSlabs slabs(kBytes);
  ASSERT_THAT(Add(slabs, 0), Succeeds());
  EXPECT_FALSE(slabs.Find({.offset_words = 0, .words = kWords + 1}).has_value());
  EXPECT_FALSE(slabs.Find({.offset_words = kWords, .words = 1}).has_value());
  EXPECT_FALSE(slabs.Find({.offset_words = kWords + 1, .words = 0}).has_value());
}

TEST(PeerSlabs, FindsNothingWhereOffsetAndWordsOverflow) {
  PeerSlabs slabs(kBytes);
  ASSERT_THAT(Add(slabs, 0), Succeeds());
  EXPECT_FALSE(slabs.Find({.offset_words = UINT32_MAX, .words = 2}).has_value());
  EXPECT_FALSE(slabs.Find({.offset_words = 2, .words = UINT32_MAX}).has_value());
  EXPECT_FALSE(slabs.Find({.offset_words = 1u << 31, .words = 1u << 31}).has_value());
}

TEST(PeerSlabs, UnmapsASlabThatThePeerDrops) {
  PeerSlabs slabs(2 * kBytes);
  ASSERT_THAT(Add(slabs, 0), Succeeds());
  ASSERT_THAT(Add(slabs, 1), Succeeds());
  ASSERT_THAT(slabs.Drop(1, kPeer), Succeeds());
  EXPECT_FALSE(slabs.Has(1));
  EXPECT_TRUE(slabs.Has(0));
  EXPECT_EQ(slabs.bytes(), kBytes);
  EXPECT_THAT(Add(slabs, 2), Succeeds()) << "there is room for it again";
}

TEST(PeerSlabs, RefusesANumberThatWasUsedBefore) {
  PeerSlabs slabs(8 * kBytes);
  ASSERT_THAT(Add(slabs, 3), Succeeds());
  ASSERT_THAT(slabs.Drop(3, kPeer), Succeeds());
  EXPECT_THAT(Add(slabs, 3), Fails(kDataLoss, "number of a new slab"));
  EXPECT_THAT(Add(slabs, 2), Fails(kDataLoss, "number of a new slab"));
  EXPECT_THAT(Add(slabs, 4), Succeeds());
}

TEST(PeerSlabs, RefusesASlabThatNoOutboxHas) {
  PeerSlabs slabs(ChannelOptions::kMaxSlabsBytes);
  for (const uint64_t bytes : {ChannelOptions::kMaxSlabBytes + 4096, size_t{32} << 30}) {
    EXPECT_THAT(slabs.Add(1, bytes, UniqueFd(), kPeer), Fails(kDataLoss, "at most 17179869184"));
  }
}

TEST(PeerSlabs, RefusesMoreBytesThanItMayMap) {
  PeerSlabs slabs(3 * kBytes);
  ASSERT_THAT(Add(slabs, 0, 2 * kBytes), Succeeds());
  EXPECT_THAT(Add(slabs, 1, 2 * kBytes), Fails(kDataLoss, "max_peer_slabs_bytes"));
  EXPECT_THAT(slabs.Add(1, UINT64_MAX, UniqueFd(), kPeer), Fails(kDataLoss, "new slab"));
  EXPECT_THAT(Add(slabs, 1, kBytes), Succeeds());
}

TEST(PeerSlabs, RefusesASizeThatIsNotOfWholePages) {
  PeerSlabs slabs(UINT64_MAX);
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{1}, uint64_t{4097}, UINT64_MAX}) {
    EXPECT_THAT(slabs.Add(0, bytes, UniqueFd(), kPeer),
                Fails(kDataLoss, "which must be a multiple of the page size, 4096"));
  }
}

TEST(PeerSlabs, RefusesMoreSlabsThanThereMayBe) {
  PeerSlabs slabs(UINT64_MAX);
  for (uint32_t i = 0; i < kMaxSlabs; ++i) {
    ASSERT_THAT(Add(slabs, i, 4096), Succeeds());
  }
  EXPECT_THAT(Add(slabs, kMaxSlabs, 4096), Fails(kDataLoss, "wrote 257 as slabs at a time"));
}

TEST(PeerSlabs, RefusesARegionOfAnotherSizeThanAnnounced) {
  PeerSlabs slabs(8 * kBytes);
  EXPECT_THAT(slabs.Add(0, 2 * kBytes, NewRegion().ReleaseFd(), kPeer),
              Fails(kDataLoss, "size in bytes"));
  EXPECT_EQ(slabs.bytes(), 0u);
  EXPECT_THAT(Add(slabs, 0), Succeeds()) << "the number was not taken";
}

TEST(PeerSlabs, RefusesToDropWhatIsNotThere) {
  PeerSlabs slabs(kBytes);
  EXPECT_THAT(slabs.Drop(0, kPeer), Fails(kDataLoss, "slab that it drops"));
}

TEST(PeerSlabs, KeepsASlabInWhichABlockIsStillRead) {
  PeerSlabs slabs(kBytes);
  ASSERT_THAT(Add(slabs, 0), Succeeds());
  const PeerBlock block = slabs.Find({.words = 1}).value();
  block.Borrow();
  EXPECT_THAT(slabs.Drop(0, kPeer), Fails(kDataLoss, "still lent"));
  EXPECT_TRUE(slabs.Has(0));
  block.GiveBack();
  EXPECT_THAT(slabs.Drop(0, kPeer), Succeeds());
}

}  // namespace
}  // namespace shoal
