#include "shoal/transport/outbox.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "gtest/gtest.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kInvalidArgument = absl::StatusCode::kInvalidArgument;

constexpr uint64_t kEpoch = 0x1234567890;
constexpr OutboxShape kShape = {.slots = 32, .receipts = 16, .slab_bytes = 64 << 10};

Outbox NewOutbox() { return Outbox::Create(kShape, kEpoch).value(); }

// Maps what `outbox` sends in its handshake.
absl::StatusOr<PeerOutbox> Map(Outbox& outbox, uint64_t epoch = kEpoch) {
  UniqueFd control = outbox.control_region().ReleaseFd();
  UniqueFd slab = outbox.slab_region().ReleaseFd();
  return PeerOutbox::Map(outbox.shape(), epoch, {}, std::move(control), std::move(slab),
                         PeerSlabs(ChannelOptions::kMaxSlabsBytes));
}

absl::StatusOr<PeerOutbox> MapAs(const OutboxShape& shape, Outbox& outbox) {
  UniqueFd control = outbox.control_region().ReleaseFd();
  UniqueFd slab = outbox.slab_region().ReleaseFd();
  return PeerOutbox::Map(shape, kEpoch, {}, std::move(control), std::move(slab),
                         PeerSlabs(ChannelOptions::kMaxSlabsBytes));
}

TEST(OutboxShape, KeepsReceiptsAndSlotsApartAndEndsAtAPage) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  EXPECT_EQ(kShape.receipts_offset(), sizeof(Control));
  EXPECT_GE(kShape.slots_offset(), sizeof(Control) + 16 * sizeof(Receipt));
  EXPECT_EQ(kShape.slots_offset() % sizeof(Slot), 0u);
  EXPECT_GE(kShape.control_bytes(), kShape.slots_offset() + 32 * sizeof(Slot));
  EXPECT_EQ(kShape.control_bytes() % page, 0u);
}

TEST(OutboxShape, IsThatOfTheOptions) {
  const OutboxShape shape = OutboxShape::Of({.slots = 64, .loans = 128, .slab_bytes = 1 << 20});
  EXPECT_EQ(shape.slots, 64u);
  EXPECT_EQ(shape.receipts, 128u);
  EXPECT_EQ(shape.slab_bytes, uint64_t{1} << 20);
  EXPECT_THAT(shape.Validate(), Succeeds());
}

TEST(OutboxShape, RefusesNoSlots) {
  const OutboxShape shape = {.slots = 0, .receipts = 16, .slab_bytes = 64 << 10};
  EXPECT_THAT(shape.Validate(), Fails(kInvalidArgument, "slots is 0; allowed is 16 to 65536"));
}

TEST(OutboxShape, RefusesSlotsThatAreNoPowerOfTwo) {
  const OutboxShape shape = {.slots = 48, .receipts = 16, .slab_bytes = 64 << 10};
  EXPECT_THAT(shape.Validate(), Fails(kInvalidArgument, "slots is 48"));
}

TEST(OutboxShape, RefusesSlotsWithoutBound) {
  const OutboxShape shape = {.slots = 1u << 31, .receipts = 16, .slab_bytes = 64 << 10};
  EXPECT_THAT(shape.Validate(), Fails(kInvalidArgument, "slots is 2147483648"));
}

TEST(OutboxShape, RefusesReceiptsThatAreNoPowerOfTwo) {
  const OutboxShape shape = {.slots = 16, .receipts = 17, .slab_bytes = 64 << 10};
  EXPECT_THAT(shape.Validate(), Fails(kInvalidArgument, "loans is 17"));
}

TEST(OutboxShape, RefusesReceiptsWithoutBound) {
  const OutboxShape shape = {.slots = 16, .receipts = UINT32_MAX, .slab_bytes = 64 << 10};
  EXPECT_THAT(shape.Validate(), Fails(kInvalidArgument, "loans is 4294967295"));
}

TEST(OutboxShape, RefusesSlabsOfPartsOfAPage) {
  const OutboxShape shape = {.slots = 16, .receipts = 16, .slab_bytes = (64 << 10) + 8};
  EXPECT_THAT(shape.Validate(), Fails(kInvalidArgument, "slab_bytes is 65544"));
}

TEST(OutboxShape, RefusesSlabsWithoutBound) {
  const OutboxShape shape = {.slots = 16, .receipts = 16, .slab_bytes = UINT64_MAX};
  EXPECT_THAT(shape.Validate(), Fails(kInvalidArgument, "slab_bytes is 18446744073709551615"));
}

TEST(Outbox, SaysWhatItIs) {
  Outbox outbox = NewOutbox();
  const Control::Header& header = outbox.control().header;
  EXPECT_EQ(header.magic, kMagic);
  EXPECT_EQ(header.version, kProtocolVersion);
  EXPECT_EQ(header.pid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(header.epoch, kEpoch);
  EXPECT_EQ(header.slots, kShape.slots);
  EXPECT_EQ(header.receipts, kShape.receipts);
  EXPECT_EQ(header.slab_bytes, kShape.slab_bytes);
  const CounterPage::Header& counters = outbox.counters().header;
  EXPECT_EQ(counters.magic, CounterPage::kMagic);
  EXPECT_EQ(counters.version, kProtocolVersion);
  EXPECT_EQ(counters.pid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(counters.epoch, kEpoch);
}

TEST(Outbox, BeginsWithTheNameOfItsFormat) {
  Outbox outbox = NewOutbox();
  EXPECT_STREQ(reinterpret_cast<const char*>(outbox.control_region().data()), "SHOAL");
}

TEST(Outbox, HasNothingInItAtFirst) {
  Outbox outbox = NewOutbox();
  const std::span control(outbox.control_region().data(), outbox.control_region().size());
  EXPECT_EQ(std::ranges::count(control.subspan(sizeof(Control::Header)), std::byte{0}),
            static_cast<ptrdiff_t>(control.size() - sizeof(Control::Header)));
  const std::span slab(outbox.slab_region().data(), outbox.slab_region().size());
  EXPECT_EQ(std::ranges::count(slab, std::byte{0}), static_cast<ptrdiff_t>(slab.size()));
}

TEST(Outbox, HoldsAllThatItsShapePromises) {
  Outbox outbox = NewOutbox();
  const std::byte* end = outbox.control_region().data() + outbox.control_region().size();
  EXPECT_LE(reinterpret_cast<std::byte*>(outbox.receipts() + kShape.receipts),
            reinterpret_cast<std::byte*>(outbox.slots()));
  EXPECT_LE(reinterpret_cast<std::byte*>(outbox.slots() + kShape.slots), end);
  EXPECT_EQ(outbox.slab_region().size(), kShape.slab_bytes);
}

TEST(PeerOutbox, SeesWhatItsOwnerWrites) {
  Outbox outbox = NewOutbox();
  const PeerOutbox seen = Map(outbox).value();
  outbox.control().parked.value = 1;
  outbox.control().starved.value = 2;
  outbox.control().consumed.value = 3;
  outbox.control().cpu.value = 4;
  outbox.receipts()[kShape.receipts - 1] = 5;
  outbox.slots()[kShape.slots - 1].header = 6;
  EXPECT_EQ(seen.control().parked.value, 1u);
  EXPECT_EQ(seen.control().starved.value, 2u);
  EXPECT_EQ(seen.control().consumed.value, 3u);
  EXPECT_EQ(seen.control().cpu.value, 4u);
  EXPECT_EQ(seen.receipts()[kShape.receipts - 1], 5u);
  EXPECT_EQ(seen.slots()[kShape.slots - 1].header, 6u);
}

TEST(PeerOutbox, FindsBlocksWhereTheirOwnerHasThem) {
  Outbox outbox = NewOutbox();
  PeerOutbox seen = Map(outbox).value();
  reinterpret_cast<uint64_t*>(outbox.slab_region().data())[100] = 42;
  const auto found = seen.slabs().Find({.offset_words = 100, .words = 2});
  ASSERT_TRUE(found.has_value());
  ASSERT_EQ(found->words.size(), 2u);
  EXPECT_EQ(reinterpret_cast<const uint64_t*>(found->words.data())[0], 42u);
}

TEST(PeerOutbox, RefusesAShapeThatIsNotAllowed) {
  Outbox outbox = NewOutbox();
  const OutboxShape shape = {.slots = 33, .receipts = 16, .slab_bytes = 64 << 10};
  EXPECT_THAT(MapAs(shape, outbox), Fails(kDataLoss, "slots is 33"));
}

TEST(PeerOutbox, RefusesAControlRegionOfAnotherSize) {
  Outbox outbox = NewOutbox();
  const OutboxShape larger = {.slots = 64, .receipts = 16, .slab_bytes = 64 << 10};
  EXPECT_THAT(MapAs(larger, outbox), Fails(kDataLoss, "size in bytes"));
}

TEST(PeerOutbox, RefusesASlabOfAnotherSize) {
  Outbox outbox = NewOutbox();
  const OutboxShape larger = {.slots = 32, .receipts = 16, .slab_bytes = 128 << 10};
  EXPECT_THAT(MapAs(larger, outbox), Fails(kDataLoss, "size in bytes is 65536, expected 131072"));
}

TEST(PeerOutbox, RefusesARegionOfAnotherConnection) {
  Outbox outbox = NewOutbox();
  EXPECT_THAT(Map(outbox, kEpoch + 1), Fails(kDataLoss, "epoch 1234567890"));
}

TEST(PeerOutbox, RefusesAForeignRegion) {
  Outbox outbox = NewOutbox();
  outbox.control().header.magic = 0xfeed;
  EXPECT_THAT(Map(outbox), Fails(kDataLoss, "magic feed"));
}

TEST(PeerOutbox, RefusesARegionOfAnotherVersion) {
  Outbox outbox = NewOutbox();
  outbox.control().header.version = 99;
  EXPECT_THAT(Map(outbox), Fails(kDataLoss, "version 99"));
}

TEST(PeerOutbox, OutlivesTheOwnersMapping) {
  std::optional<Outbox> outbox = NewOutbox();
  PeerOutbox seen = Map(*outbox).value();
  reinterpret_cast<uint64_t*>(outbox->slab_region().data())[0] = 42;
  outbox.reset();
  EXPECT_EQ(reinterpret_cast<const uint64_t*>(seen.slabs().Find({.words = 1})->words.data())[0],
            42u);
}

}  // namespace
}  // namespace shoal
