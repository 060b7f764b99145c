#include "shoal/transport/slot_ring.h"

#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/spin_budget.h"

namespace shoal {
namespace {

// A ring in private memory, all zero as a fresh region is, and its two sides.
struct Ring {
  explicit Ring(uint32_t count)
      : slots(std::make_unique<Slot[]>(count)),
        writer(slots.get(), count),
        reader(slots.get(), count) {}

  std::unique_ptr<Slot[]> slots;
  SlotWriter writer;
  SlotReader reader;
};

// `first`, `first` + 1 and so on.
std::vector<uint64_t> Words(uint32_t count, uint64_t first) {
  std::vector<uint64_t> words(count);
  std::iota(words.begin(), words.end(), first);
  return words;
}

// Descriptors whose fields all differ.
std::vector<BlockDescriptor> Blocks(uint32_t count, uint32_t first) {
  std::vector<BlockDescriptor> blocks(count);
  for (BlockDescriptor& block : blocks) {
    block = {.slab = first, .loan = ~first, .offset_words = first << 16, .words = first + 7};
    ++first;
  }
  return blocks;
}

// The words of the payload that a message of these parts has.
std::vector<uint64_t> Payload(std::vector<uint64_t> words,
                              const std::vector<BlockDescriptor>& blocks) {
  for (const BlockDescriptor& block : blocks) {
    words.push_back(uint64_t{block.loan} << 32 | block.slab);
    words.push_back(uint64_t{block.words} << 32 | block.offset_words);
  }
  return words;
}

std::vector<uint64_t> ReadPayload(const SlotReader& reader, uint64_t words) {
  std::vector<uint64_t> payload(words);
  reader.ReadPayload(0, payload);
  return payload;
}

// The header that a writer stores in slot `position` of the endless sequence.
uint64_t HeaderOf(uint64_t position) {
  return std::bit_cast<uint64_t>(SlotHeader{.sequence = static_cast<uint32_t>(position + 1)});
}

// Layout

TEST(Slot, HasItsHeaderAndPayloadWhereTheDrawingSays) {
  Ring ring(4);
  ring.writer.Publish(SlotKind::kMessage, Words(3, 100), Blocks(2, 1));
  const uint64_t header = ring.slots[0].header.load();
  EXPECT_EQ(header & 0xffffffff, 1u);       // sequence
  EXPECT_EQ(header >> 32 & 0xff, 1u);       // kind
  EXPECT_EQ(header >> 40 & 0xff, 3u);       // inline words
  EXPECT_EQ(header >> 48, 2u);              // blocks
  EXPECT_EQ(ring.slots[0].words[2], 102u);  // the last inline word
  EXPECT_EQ(ring.slots[0].words[3], 1u | uint64_t{~1u} << 32);
}

TEST(SlotsFor, CountsWhatThePayloadFills) {
  EXPECT_EQ(SlotsFor(0, 0), 1u);
  EXPECT_EQ(SlotsFor(31, 0), 1u);
  EXPECT_EQ(SlotsFor(29, 1), 1u);
  EXPECT_EQ(SlotsFor(30, 1), 2u);
  EXPECT_EQ(SlotsFor(0, 31), 2u);
  EXPECT_EQ(SlotsFor(0, 32), 3u);
}

TEST(SlotsFor, DoesNotOverflowOnTheLargestHeader) {
  EXPECT_EQ(SlotsFor(UINT8_MAX, UINT16_MAX), 4237u);
}

TEST(MaxSlotsPerMessage, IsAQuarterOfTheRing) {
  EXPECT_EQ(MaxSlotsPerMessage(16), 4u);
  EXPECT_EQ(MaxSlotsPerMessage(256), 64u);
}

// One message

TEST(SlotRing, IsEmptyAtFirst) {
  Ring ring(8);
  EXPECT_FALSE(ring.reader.Ready());
  EXPECT_EQ(ring.reader.Next(), std::nullopt);
  EXPECT_EQ(ring.writer.published(), 0u);
  EXPECT_EQ(ring.reader.consumed(), 0u);
}

TEST(SlotRing, DeliversAMessageAsItWasPublished) {
  Ring ring(8);
  ring.writer.Publish(SlotKind::kMessage, Words(5, 70), Blocks(2, 1));
  EXPECT_TRUE(ring.reader.Ready());
  const std::optional<SlotHeader> header = ring.reader.Next();
  ASSERT_TRUE(header);
  EXPECT_TRUE(ring.reader.InSequence(*header));
  EXPECT_EQ(header->kind, SlotKind::kMessage);
  EXPECT_EQ(header->inline_words, 5);
  EXPECT_EQ(header->blocks, 2);
  EXPECT_EQ(ReadPayload(ring.reader, 9), Payload(Words(5, 70), Blocks(2, 1)));
}

TEST(SlotRing, SendsAPointerToTheStructBehindItInTheHeader) {
  const uint64_t pointer = uint64_t{7} << 32 | uint64_t{255} << 48;  // 7 words, 255 pointers
  std::vector<uint64_t> words = Words(8, 40);
  words[0] = pointer;
  Ring ring(8);
  ring.writer.PublishSegment(words);
  const std::optional<SlotHeader> header = ring.reader.Next();
  ASSERT_TRUE(header);
  EXPECT_EQ(header->kind, SlotKind::kStruct);
  EXPECT_EQ(header->inline_words, 8);
  EXPECT_EQ(StructPointer(header->blocks), pointer);
  EXPECT_EQ(ReadPayload(ring.reader, 7), Words(7, 41));
  EXPECT_EQ(ring.writer.published(), 1u);
}

TEST(SlotRing, SendsOtherSegmentsWhole) {
  const uint64_t firsts[] = {
      1,                      // a list
      uint64_t{1} << 32 | 4,  // a struct further on
      0x0000'0000'ffff'fffc,  // an empty struct
      uint64_t{256} << 32,    // more data than the header can say
      uint64_t{256} << 48,    // more pointers
  };
  for (const uint64_t first : firsts) {
    const std::vector<uint64_t> words = {first, 5};
    Ring ring(8);
    ring.writer.PublishSegment(words);
    EXPECT_EQ(ring.reader.Next()->kind, SlotKind::kMessage) << std::hex << first;
    EXPECT_EQ(ReadPayload(ring.reader, 2), words);
  }
  Ring ring(8);
  ring.writer.PublishSegment({});
  EXPECT_EQ(ring.reader.Next()->kind, SlotKind::kMessage);
  EXPECT_EQ(ring.reader.Next()->inline_words, 0);
}

TEST(SlotRing, KeepsTheKind) {
  Ring ring(8);
  ring.writer.Publish(SlotKind::kFragment, Words(31, 0));
  ring.writer.Publish(SlotKind::kAbandon, {});
  ring.writer.Publish(SlotKind::kEnd, {});
  EXPECT_EQ(ring.reader.Next()->kind, SlotKind::kFragment);
  ring.reader.Advance(1);
  EXPECT_EQ(ring.reader.Next()->kind, SlotKind::kAbandon);
  ring.reader.Advance(1);
  EXPECT_EQ(ring.reader.Next()->kind, SlotKind::kEnd);
}

TEST(SlotRing, GivesAMessageWithoutWordsASlotOfItsOwn) {
  Ring ring(8);
  ring.writer.Publish(SlotKind::kMessage, {});
  EXPECT_EQ(ring.writer.published(), 1u);
  EXPECT_EQ(ring.reader.Next()->inline_words, 0);
}

TEST(SlotRing, ShowsAMessageUntilTheReaderAdvances) {
  Ring ring(8);
  ring.writer.Publish(SlotKind::kMessage, Words(1, 0));
  EXPECT_TRUE(ring.reader.Next());
  EXPECT_TRUE(ring.reader.Next());
  ring.reader.Advance(1);
  EXPECT_FALSE(ring.reader.Ready());
  EXPECT_EQ(ring.reader.Next(), std::nullopt);
}

TEST(SlotReader, ReadsPartsOfThePayload) {
  Ring ring(8);
  ring.writer.Publish(SlotKind::kMessage, Words(31, 0), Blocks(20, 1));
  const std::vector<uint64_t> whole = Payload(Words(31, 0), Blocks(20, 1));
  uint64_t part[4] = {};
  ring.reader.ReadPayload(60, part);  // words 60 and 61 are the second slot's last
  EXPECT_EQ(std::vector(part, part + 4), std::vector(whole.begin() + 60, whole.begin() + 64));
}

// Messages over several slots

TEST(SlotRing, SpreadsALargeMessageOverSeveralSlots) {
  Ring ring(8);
  ring.writer.Publish(SlotKind::kMessage, Words(31, 500), Blocks(32, 9));
  EXPECT_EQ(ring.writer.published(), 4u);
  EXPECT_EQ(ReadPayload(ring.reader, 95), Payload(Words(31, 500), Blocks(32, 9)));
}

TEST(SlotRing, GoesOnBehindALargeMessage) {
  Ring ring(8);
  ring.writer.Publish(SlotKind::kMessage, Words(31, 0), Blocks(1, 0));
  ring.writer.Publish(SlotKind::kMessage, Words(1, 42));
  ring.reader.Advance(2);
  EXPECT_EQ(ring.reader.consumed(), 2u);
  EXPECT_EQ(ReadPayload(ring.reader, 1), Words(1, 42));
}

TEST(SlotRing, MarksTheFurtherSlotsOfAMessage) {
  Ring ring(8);
  ring.writer.Publish(SlotKind::kMessage, {}, Blocks(32, 0));
  ring.reader.Advance(1);
  EXPECT_EQ(ring.reader.Next()->kind, SlotKind::kMore);
  EXPECT_TRUE(ring.reader.InSequence(*ring.reader.Next()));
  ring.reader.Advance(1);
  EXPECT_EQ(ring.reader.Next()->kind, SlotKind::kMore);
  EXPECT_TRUE(ring.reader.InSequence(*ring.reader.Next()));
}

TEST(SlotRing, CarriesALargeMessageAcrossItsEnd) {
  Ring ring(8);
  for (int i = 0; i < 6; ++i) {
    ring.writer.Publish(SlotKind::kMessage, {});
  }
  ring.reader.Advance(6);
  ring.writer.Publish(SlotKind::kMessage, Words(31, 900), Blocks(40, 3));
  EXPECT_EQ(ring.writer.published(), 10u);
  EXPECT_TRUE(ring.reader.InSequence(*ring.reader.Next()));
  EXPECT_EQ(ReadPayload(ring.reader, 111), Payload(Words(31, 900), Blocks(40, 3)));
}

// Laps

TEST(SlotRing, HoldsAsManyMessagesAsItHasSlots) {
  Ring ring(4);
  for (uint64_t i = 0; i < 4; ++i) {
    ring.writer.Publish(SlotKind::kMessage, Words(1, i));
  }
  for (uint64_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(ring.reader.Ready());
    EXPECT_EQ(ReadPayload(ring.reader, 1), Words(1, i));
    ring.reader.Advance(1);
  }
  EXPECT_FALSE(ring.reader.Ready());
}

TEST(SlotRing, KeepsTheOrderOverManyLaps) {
  Ring ring(4);
  uint64_t out_of_order = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    ring.writer.Publish(SlotKind::kMessage, Words(1, 2 * i));
    ring.writer.Publish(SlotKind::kMessage, Words(1, 2 * i + 1));
    out_of_order += ReadPayload(ring.reader, 1) != Words(1, 2 * i);
    ring.reader.Advance(1);
    out_of_order += ReadPayload(ring.reader, 1) != Words(1, 2 * i + 1);
    ring.reader.Advance(1);
    ASSERT_FALSE(ring.reader.Ready()) << "the lap before shows in slot " << 2 * i + 2;
  }
  EXPECT_EQ(out_of_order, 0u);
}

// Where the 32-bit sequence wraps, slot 2^32 - 1 carries sequence 0.
TEST(SlotReader, TellsFreshFromStaleWhereTheSequenceWraps) {
  constexpr uint32_t kCount = 4;
  constexpr uint64_t kWrap = uint64_t{1} << 32;
  Ring ring(kCount);
  for (uint64_t position = kWrap - 2 - kCount; position < kWrap - 2; ++position) {
    ring.slots[position % kCount].header = HeaderOf(position);
  }
  ring.reader.Advance(UINT32_MAX - 1);
  for (uint64_t position = kWrap - 2; position < kWrap + 2 * kCount; ++position) {
    SCOPED_TRACE(position);
    ASSERT_EQ(ring.reader.consumed(), position);
    EXPECT_FALSE(ring.reader.Ready());
    EXPECT_EQ(ring.reader.Next(), std::nullopt);
    ring.slots[position % kCount].header = HeaderOf(position);
    EXPECT_TRUE(ring.reader.Ready());
    ASSERT_TRUE(ring.reader.Next());
    EXPECT_TRUE(ring.reader.InSequence(*ring.reader.Next()));
    ring.reader.Advance(1);
  }
}

// A peer that writes nonsense

TEST(SlotReader, ShowsASequenceThatIsNeitherFreshNorStale) {
  Ring ring(4);
  ring.slots[0].header = HeaderOf(4);  // a lap too far
  EXPECT_TRUE(ring.reader.Ready());
  ASSERT_TRUE(ring.reader.Next());
  EXPECT_FALSE(ring.reader.InSequence(*ring.reader.Next()));
}

TEST(SlotReader, TakesAnErasedSequenceInALaterLapForCorrupt) {
  Ring ring(4);
  for (int i = 0; i < 4; ++i) {
    ring.writer.Publish(SlotKind::kMessage, {});
  }
  ring.reader.Advance(4);
  ring.slots[0].header = 0;
  EXPECT_TRUE(ring.reader.Ready());
  ASSERT_TRUE(ring.reader.Next());
  EXPECT_FALSE(ring.reader.InSequence(*ring.reader.Next()));
}

// Two threads

// Publishes messages of 0 to 9 slots, all words of which follow from their numbers.
void PublishUntil(const std::stop_token& stop, SlotWriter& writer,
                  const std::atomic<uint64_t>& consumed) {
  for (uint32_t i = 0;; ++i) {
    const std::vector<uint64_t> words = Words(i % 32, i);
    const std::vector<BlockDescriptor> blocks = Blocks(i % 111, i);
    const uint32_t slots = SlotsFor(i % 32, i % 111);
    while (writer.published() + slots > consumed.load(std::memory_order_acquire) + writer.count()) {
      if (stop.stop_requested()) {
        return;
      }
      std::this_thread::yield();
    }
    writer.Publish(SlotKind::kMessage, words, blocks);
  }
}

TEST(SlotRing, ShowsAnotherThreadOnlyWholeMessages) {
  constexpr uint32_t kMostMessages = 30'000;
  Ring ring(16);
  std::atomic<uint64_t> consumed = 0;
  std::jthread writer(
      [&](const std::stop_token& stop) { PublishUntil(stop, ring.writer, consumed); });
  const Deadline enough = Deadline::After(absl::Seconds(2));
  for (uint32_t i = 0; i < kMostMessages && !enough.passed(); ++i) {
    const Deadline lost = Deadline::After(absl::Seconds(20));
    // Spins, to look while the message is being written; yields, as the writer may have no CPU.
    while (!SpinUntil(std::chrono::microseconds(20), [&] { return ring.reader.Ready(); })) {
      ASSERT_FALSE(lost.passed()) << "message " << i << " does not appear";
      std::this_thread::yield();
    }
    const std::optional<SlotHeader> header = ring.reader.Next();
    ASSERT_TRUE(header) << "message " << i;
    ASSERT_TRUE(ring.reader.InSequence(*header)) << "message " << i;
    ASSERT_EQ(header->kind, SlotKind::kMessage) << "message " << i;
    const std::vector<uint64_t> expected = Payload(Words(i % 32, i), Blocks(i % 111, i));
    ASSERT_EQ(ReadPayload(ring.reader, expected.size()), expected) << "message " << i;
    ring.reader.Advance(SlotsFor(header->inline_words, header->blocks));
    consumed.store(ring.reader.consumed(), std::memory_order_release);
  }
}

}  // namespace
}  // namespace shoal
