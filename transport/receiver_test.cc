#include "shoal/transport/receiver.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cstring>
#include <optional>
#include <span>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "kj/exception.h"
#include "shoal/transport/has_event.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/parked_flag.h"
#include "shoal/transport/region.h"
#include "shoal/transport/slot_ring.h"
#include "shoal/transport/test_data.capnp.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kResourceExhausted = absl::StatusCode::kResourceExhausted;
constexpr uint64_t kMaxWords = 10'000;

std::vector<BlockDescriptor> DifferentBlocks(uint32_t count) {
  std::vector<BlockDescriptor> blocks;
  for (uint32_t i = 0; i < count; ++i) {
    blocks.push_back({.offset_words = i, .words = 1});
  }
  return blocks;
}

// The peer is played by the test, which writes into the peer's outbox what it likes.
class ReceiverTest : public testing::Test {
 protected:
  // Stores a slot as it is, in sequence or not.
  void WriteSlot(uint32_t position, SlotHeader header) {
    slots()[position % kSmallShape.slots].header.store(std::bit_cast<uint64_t>(header));
  }

  void Publish(SlotKind kind, const std::vector<uint64_t>& inline_words,
               const std::vector<BlockDescriptor>& blocks = {}) {
    writer_.Publish(kind, inline_words, blocks);
  }

  // Sends so many descriptors ahead of a message.
  void SendFds(size_t count) {
    const std::vector<int> fds(count, STDIN_FILENO);
    EXPECT_THAT(SendMessageFds(links_.left->doorbell, fds), Succeeds());
  }

  Slot* slots() { return links_.left->own.slots(); }
  uint64_t consumed() { return links_.right->own.control().consumed.value; }

  LinkPair links_ = MakeLinkPair();
  SlotWriter writer_{links_.left->own.slots(), kSmallShape.slots};
  Receiver receiver_{links_.right, kMaxWords};
};

TEST_F(ReceiverTest, FindsNothingInAnEmptyRing) {
  EXPECT_FALSE(receiver_.Ready());
  EXPECT_FALSE(TakeFrom(receiver_).has_value());
  EXPECT_EQ(consumed(), 0u);
}

TEST_F(ReceiverTest, IsReadyWhenAMessageIsThere) {
  Publish(SlotKind::kMessage, {0});
  EXPECT_TRUE(receiver_.Ready());
  EXPECT_TRUE(TakeFrom(receiver_).has_value());
  EXPECT_FALSE(receiver_.Ready());
}

TEST_F(ReceiverTest, TakesTheWordsOfASlotAndThenItsBlocksAsSegments) {
  reinterpret_cast<uint64_t*>(FirstSlab(*links_.left))[100] = 42;
  Publish(SlotKind::kMessage, {1, 2, 3}, {{.loan = 9, .offset_words = 100, .words = 5}});
  const absl::StatusOr<IncomingBody*> body = receiver_.Take();
  ASSERT_THAT(body, Succeeds());
  ASSERT_EQ((*body)->segments.size(), 2u);
  EXPECT_EQ((*body)->segments[0].size(), 3u);
  EXPECT_EQ(reinterpret_cast<const uint64_t*>((*body)->segments[0].begin())[2], 3u);
  EXPECT_EQ((*body)->segments[1].size(), 5u);
  EXPECT_EQ(reinterpret_cast<const uint64_t*>((*body)->segments[1].begin())[0], 42u);
  EXPECT_EQ((*body)->borrowed.size(), 1u);
  EXPECT_EQ((*body)->borrowed[0].loan, 9u);
  (*body)->Release();
}

TEST_F(ReceiverTest, GivesEachSlotBackAtOnce) {
  Publish(SlotKind::kMessage, {0});
  const std::optional<IncomingMessage> held = TakeFrom(receiver_);
  EXPECT_EQ(consumed(), 1u);
}

TEST_F(ReceiverTest, KeepsTheWordsOfASlotThatIsWrittenAgain) {
  Publish(SlotKind::kMessage, {0, 7});
  const absl::StatusOr<IncomingBody*> body = receiver_.Take();
  ASSERT_THAT(body, Succeeds());
  slots()[0].words[1] = 8;
  EXPECT_EQ(reinterpret_cast<const uint64_t*>((*body)->segments[0].begin())[1], 7u);
  (*body)->Release();
}

TEST_F(ReceiverTest, RingsAStarvedPeerOnceASleep) {
  ParkedFlag starved(&links_.left->own.control().starved.value);
  const int peer = links_.left->doorbell.socket();
  Publish(SlotKind::kMessage, {0});
  Publish(SlotKind::kMessage, {0});
  Publish(SlotKind::kMessage, {0});
  ASSERT_TRUE(TakeFrom(receiver_).has_value());
  EXPECT_FALSE(HasEvent(peer));
  starved.Raise();
  ASSERT_TRUE(TakeFrom(receiver_).has_value());
  EXPECT_TRUE(HasEvent(peer));
  links_.left->doorbell.Drain();
  ASSERT_TRUE(TakeFrom(receiver_).has_value());
  EXPECT_FALSE(HasEvent(peer));
}

TEST_F(ReceiverTest, HasNothingAfterTheEnd) {
  Publish(SlotKind::kEnd, {});
  Publish(SlotKind::kMessage, {0});
  EXPECT_FALSE(TakeFrom(receiver_).has_value());
  EXPECT_TRUE(receiver_.ended());
  EXPECT_FALSE(receiver_.Ready());
  EXPECT_FALSE(TakeFrom(receiver_).has_value());
}

TEST_F(ReceiverTest, DeliversWhatWasPublishedBeforeTheEnd) {
  Publish(SlotKind::kMessage, {0});
  Publish(SlotKind::kEnd, {});
  EXPECT_FALSE(receiver_.ended());
  EXPECT_TRUE(TakeFrom(receiver_).has_value());
  EXPECT_FALSE(TakeFrom(receiver_).has_value());
  EXPECT_TRUE(receiver_.ended());
}

TEST_F(ReceiverTest, TakesAMessageInFragmentsWhenItsLastWordIsThere) {
  // One segment of two words.
  Publish(SlotKind::kFragment, {uint64_t{2} << 32, 0});
  EXPECT_FALSE(TakeFrom(receiver_).has_value());
  Publish(SlotKind::kFragment, {5});
  const absl::StatusOr<IncomingBody*> body = receiver_.Take();
  ASSERT_THAT(body, Succeeds());
  ASSERT_NE(*body, nullptr);
  ASSERT_EQ((*body)->segments.size(), 1u);
  EXPECT_EQ(reinterpret_cast<const uint64_t*>((*body)->segments[0].begin())[1], 5u);
  EXPECT_EQ(receiver_.counters().copied_words.value(), 3u);
  (*body)->Release();
}

TEST_F(ReceiverTest, ForgetsFragmentsThatAreAbandoned) {
  Publish(SlotKind::kFragment, {uint64_t{2} << 32, 0});
  Publish(SlotKind::kAbandon, {});
  Publish(SlotKind::kMessage, {0});
  std::optional<IncomingMessage> message = TakeFrom(receiver_);
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(message->SizeInWords(), 1u);
}

TEST_F(ReceiverTest, ComesBackAfterALapFromAPeerThatWritesNoMessageForEver) {
  constexpr uint32_t kSlots = 1024;
  const LinkPair links = MakeLinkPair(
      {.slots = kSlots, .receipts = kSmallShape.receipts, .slab_bytes = kSmallShape.slab_bytes});
  Receiver receiver(links.right, kMaxWords);
  Slot* const slots = links.left->own.slots();
  const std::atomic<uint64_t>& consumed = links.right->own.control().consumed.value;
  std::jthread peer([&](const std::stop_token& stop) {
    SlotWriter writer(slots, kSlots);
    while (!stop.stop_requested()) {
      if (writer.published() - consumed < kSlots) {
        writer.Publish(SlotKind::kAbandon, {});
      }
    }
  });
  for (int i = 0; i < 100; ++i) {
    const uint64_t lap = consumed + kSlots;
    while (static_cast<uint32_t>(slots[(lap - 1) % kSlots].header) != static_cast<uint32_t>(lap)) {
      std::this_thread::yield();
    }
    ASSERT_FALSE(TakeFrom(receiver).has_value());
    ASSERT_EQ(consumed, lap);
  }
}

TEST_F(ReceiverTest, SendsBackTheReceiptsOfAMessageThatIsWrong) {
  Publish(SlotKind::kMessage, {}, {{.loan = 3, .words = 1}, {.slab = 9}});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "slab 9"));
  ReceiptReader receipts(links_.left->theirs.receipts(), kSmallShape.receipts);
  EXPECT_EQ(receipts.Next(), 3u);
}

// ---- what a hostile peer may not write ----

TEST_F(ReceiverTest, RefusesASlotOutOfSequence) {
  WriteSlot(0, {.sequence = 2});
  EXPECT_TRUE(receiver_.Ready());
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss, "wrote 2 as a slot's sequence, which must be 1, or"));
}

TEST_F(ReceiverTest, RefusesASlotOutOfSequenceOnALaterLap) {
  for (uint32_t i = 0; i < kSmallShape.slots; ++i) {
    Publish(SlotKind::kMessage, {0});
    ASSERT_TRUE(TakeFrom(receiver_).has_value());
  }
  EXPECT_FALSE(receiver_.Ready());
  WriteSlot(16, {.sequence = 0});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 0 as a slot's sequence, which must be 17"));
}

TEST_F(ReceiverTest, NamesThePeer) {
  WriteSlot(0, {.sequence = 2});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "the peer at shm:left (pid "));
}

TEST_F(ReceiverTest, RefusesTheRestOfAMessageWhereOneBegins) {
  WriteSlot(0, {.sequence = 1, .kind = SlotKind::kMore});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 7 as a slot's kind, which must be 1 to 6"));
}

TEST_F(ReceiverTest, RefusesUnknownKinds) {
  WriteSlot(0, {.sequence = 1, .kind = static_cast<SlotKind>(0)});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 0 as a slot's kind"));
  WriteSlot(0, {.sequence = 1, .kind = static_cast<SlotKind>(255)});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 255 as a slot's kind"));
}

TEST_F(ReceiverTest, RefusesMoreInlineWordsThanASlotHas) {
  WriteSlot(0, {.sequence = 1, .inline_words = 32});
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss, "wrote 32 as a slot's inline words, which must be at most 31"));
}

TEST_F(ReceiverTest, RefusesMoreInlineWordsThanASlotHasInAFragment) {
  WriteSlot(0, {.sequence = 1, .kind = SlotKind::kFragment, .inline_words = 255});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 255 as a slot's inline words"));
}

TEST_F(ReceiverTest, ReadsAStructWhosePointerIsInTheHeader) {
  const uint64_t segment[] = {uint64_t{2} << 32, 17, 18};  // two words of data
  writer_.PublishSegment(segment);
  std::optional<IncomingMessage> message = TakeFrom(receiver_);
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(message->SizeInWords(), 3u);
  const auto root = message->Root<capnp::AnyStruct>();
  ASSERT_EQ(root.getDataSection().size(), 2 * sizeof(uint64_t));
  EXPECT_EQ(root.getDataSection()[0], 17);
  EXPECT_EQ(root.getDataSection()[8], 18);
  EXPECT_EQ(root.getPointerSection().size(), 0u);
}

TEST_F(ReceiverTest, LeavesItToCapnProtoWhatAStructLongerThanItsSegmentIs) {
  WriteSlot(0, {.sequence = 1, .kind = SlotKind::kStruct, .inline_words = 2, .blocks = UINT16_MAX});
  std::optional<IncomingMessage> message = TakeFrom(receiver_);
  ASSERT_TRUE(message.has_value());
  EXPECT_THROW(message->Root<capnp::AnyStruct>().getDataSection(), kj::Exception);
}

TEST_F(ReceiverTest, RefusesAStructWithoutWords) {
  WriteSlot(0, {.sequence = 1, .kind = SlotKind::kStruct});
  EXPECT_THAT(
      receiver_.Take(),
      Fails(kDataLoss, "wrote 0 as the inline words of a struct, which must be at least 1"));
  WriteSlot(0, {.sequence = 1, .kind = SlotKind::kStruct, .inline_words = 32});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 32 as a slot's inline words"));
}

TEST_F(ReceiverTest, RefusesAStructInTheMiddleOfAMessageInFragments) {
  Publish(SlotKind::kFragment, {uint64_t{4} << 32});  // one segment of four words
  EXPECT_FALSE(TakeFrom(receiver_).has_value());
  WriteSlot(1, {.sequence = 2, .kind = SlotKind::kStruct, .inline_words = 1});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 6 as a slot's kind, in the middle of"));
}

TEST_F(ReceiverTest, RefusesBlocksOnAFragment) {
  WriteSlot(0, {.sequence = 1, .kind = SlotKind::kFragment, .inline_words = 1, .blocks = 1});
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss, "wrote 1 as the blocks of a slot that is not a message"));
}

TEST_F(ReceiverTest, RefusesBlocksOnTheEnd) {
  WriteSlot(0, {.sequence = 1, .kind = SlotKind::kEnd, .blocks = UINT16_MAX});
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss, "wrote 65535 as the blocks of a slot that is not a message"));
}

TEST_F(ReceiverTest, RefusesMoreBlocksThanAMessageMayHaveInThisRing) {
  WriteSlot(0, {.sequence = 1, .blocks = 63});
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss, "wrote 63 as a message's blocks, which must be what fits 4 slots"));
}

TEST_F(ReceiverTest, RefusesABlockInASlabThatIsNotThere) {
  Publish(SlotKind::kMessage, {}, {{.slab = 1, .offset_words = 64, .words = 3}});
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss, "wrote 64 as a block in slab 1 of 3 words at offset"));
}

TEST_F(ReceiverTest, RefusesABlockThatBeginsBeyondTheSlab) {
  Publish(SlotKind::kMessage, {}, {{.offset_words = kSmallSlabWords, .words = 1}});
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss, "wrote 8192 as a block in slab 0 of 1 words at offset"));
}

TEST_F(ReceiverTest, RefusesABlockThatEndsBeyondTheSlab) {
  Publish(SlotKind::kMessage, {}, {{.offset_words = 1, .words = kSmallSlabWords}});
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss, "wrote 1 as a block in slab 0 of 8192 words at offset"));
}

TEST_F(ReceiverTest, RefusesABlockWhoseEndOverflows) {
  Publish(SlotKind::kMessage, {}, {{.offset_words = UINT32_MAX, .words = 2}});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 4294967295 as a block in slab 0"));
}

TEST_F(ReceiverTest, RefusesAMessageThatIsTooLargeThroughRepeatedBlocks) {
  Publish(SlotKind::kMessage, {}, {{.words = 8000}, {.words = 8000}});
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss,
                    "wrote 16000 as a message's size in words, which must be at most "
                    "ChannelOptions::max_message_words, 10000"));
}

TEST_F(ReceiverTest, RefusesAMessageThatNamesABlockTwice) {
  Publish(SlotKind::kMessage, {}, {{.words = 10}, {.offset_words = 64, .words = 1}, {.words = 10}});
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss,
                    "wrote 10 as the words that two blocks of a message share, which "
                    "must be 0, for each part of a slab is in a message once"));
}

TEST_F(ReceiverTest, RefusesAMessageOfBlocksThatOverlap) {
  Publish(SlotKind::kMessage, {}, {{.offset_words = 63, .words = 10}, {.words = 64}});
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss, "wrote 1 as the words that two blocks of a message share"));
}

TEST_F(ReceiverTest, CopiesNothingOfAMessageThatNamesABlockTwice) {
  Receiver receiver(links_.right, kMaxWords, Trust::kNone);
  Publish(SlotKind::kMessage, {}, std::vector<BlockDescriptor>(16, {.words = 600}));
  EXPECT_THAT(receiver.Take(), Fails(kDataLoss, "that two blocks of a message share"));
  EXPECT_EQ(receiver.counters().copied_words.value(), 0u);
}

TEST_F(ReceiverTest, TakesBlocksThatLieSideBySideInAnyOrder) {
  Publish(SlotKind::kMessage, {},
          {{.offset_words = 20, .words = 10}, {.words = 10}, {.offset_words = 10, .words = 10}});
  EXPECT_EQ(TakeFrom(receiver_)->SizeInWords(), 30u);
}

TEST_F(ReceiverTest, CountsTheWordsInTheSlotAsPartOfTheMessage) {
  Receiver receiver(links_.right, 5);
  Publish(SlotKind::kMessage, {1, 2, 3}, {{.words = 3}});
  EXPECT_THAT(receiver.Take(), Fails(kDataLoss, "wrote 6 as a message's size in words"));
}

TEST_F(ReceiverTest, RefusesAMessageInASlotThatIsTooLarge) {
  Receiver receiver(links_.right, 5);
  Publish(SlotKind::kMessage, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(receiver.Take(), Fails(kDataLoss, "wrote 6 as a message's size in words"));
}

TEST_F(ReceiverTest, RefusesMoreLoansThanThereAreReceiptsInOneMessage) {
  Publish(SlotKind::kMessage, {}, std::vector<BlockDescriptor>(17, {.words = 1}));
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss, "wrote 17 as blocks lent at a time, which must be at most 16"));
}

TEST_F(ReceiverTest, RefusesMoreLoansThanThereAreReceiptsOverAllMessages) {
  Publish(SlotKind::kMessage, {}, DifferentBlocks(9));
  Publish(SlotKind::kMessage, {}, DifferentBlocks(9));
  const std::optional<IncomingMessage> held = TakeFrom(receiver_);
  ASSERT_TRUE(held.has_value());
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 17 as blocks lent at a time"));
}

TEST_F(ReceiverTest, TakesAsManyLoansAgainAsItGaveReceiptsFor) {
  for (int i = 0; i < 5; ++i) {
    Publish(SlotKind::kMessage, {}, DifferentBlocks(16));
    EXPECT_TRUE(TakeFrom(receiver_).has_value());
  }
}

TEST_F(ReceiverTest, RefusesAMessageInTheMiddleOfFragments) {
  Publish(SlotKind::kFragment, {uint64_t{2} << 32, 0});
  Publish(SlotKind::kMessage, {0});
  EXPECT_THAT(
      receiver_.Take(),
      Fails(kDataLoss, "wrote 1 as a slot's kind, in the middle of a message in fragments"));
}

TEST_F(ReceiverTest, RefusesFragmentsThatAnnounceTooLargeAMessage) {
  Publish(SlotKind::kFragment, {uint64_t{kMaxWords + 1} << 32});
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss, "wrote 10001 as the size in words of a message in fragments"));
}

TEST_F(ReceiverTest, RefusesFragmentsThatAnnounceTooManySegments) {
  Publish(SlotKind::kFragment, {UINT32_MAX});
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss, "wrote 4294967296 as the segment count of a message in fragments"));
}

TEST_F(ReceiverTest, RefusesMoreFragmentsThanAnnounced) {
  Publish(SlotKind::kFragment, {uint64_t{1} << 32, 0, 0});
  EXPECT_THAT(receiver_.Take(),
              Fails(kDataLoss,
                    "wrote 2 as the words of a message in fragments, which must be at "
                    "most the 1 announced"));
}

TEST_F(ReceiverTest, GivesDescriptorsToTheMessageThatFollows) {
  SendFds(2);
  Publish(SlotKind::kFds, {2});
  Publish(SlotKind::kMessage, {0});
  Publish(SlotKind::kMessage, {0});
  EXPECT_EQ(TakeFrom(receiver_)->fds().size(), 2u);
  EXPECT_EQ(TakeFrom(receiver_)->fds().size(), 0u);
}

TEST_F(ReceiverTest, ForgetsDescriptorsOfAnAbandonedMessage) {
  SendFds(2);
  Publish(SlotKind::kFds, {2});
  Publish(SlotKind::kAbandon, {});
  Publish(SlotKind::kMessage, {0});
  EXPECT_EQ(TakeFrom(receiver_)->fds().size(), 0u);
}

TEST_F(ReceiverTest, RefusesDescriptorsThatWereNeverSent) {
  Publish(SlotKind::kFds, {1});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 0 as descriptors sent ahead"));
}

TEST_F(ReceiverTest, RefusesFewerDescriptorsThanAnnounced) {
  SendFds(1);
  Publish(SlotKind::kFds, {2});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 1 as descriptors sent ahead"));
}

TEST_F(ReceiverTest, RefusesMoreDescriptorsThanAnnounced) {
  SendFds(2);
  Publish(SlotKind::kFds, {1});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 2 as descriptors sent ahead"));
}

TEST_F(ReceiverTest, RefusesMoreDescriptorsThanThisSideTakes) {
  SendFds(kMaxFds + 1);
  Publish(SlotKind::kFds, {kMaxFds + 1});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 5 as a message's count of descriptors"));
}

TEST_F(ReceiverTest, RefusesACountOfDescriptorsThatIsNotThere) {
  SendFds(1);
  Publish(SlotKind::kFds, {});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 0 as a message's count of descriptors"));
}

TEST_F(ReceiverTest, RefusesDescriptorsTwiceForOneMessage) {
  SendFds(1);
  SendFds(1);
  Publish(SlotKind::kFds, {1});
  Publish(SlotKind::kFds, {1});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "behind that of descriptors"));
}

TEST_F(ReceiverTest, RefusesDescriptorsInTheMiddleOfFragments) {
  SendFds(1);
  Publish(SlotKind::kFragment, {uint64_t{2} << 32, 0});
  Publish(SlotKind::kFds, {1});
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "in the middle of a message in fragments"));
}

TEST_F(ReceiverTest, RefusesPacketsOfDescriptorsWithoutMessages) {
  for (size_t i = 0; i <= kMaxFdPacketsOnTheWay; ++i) {
    SendFds(1);
  }
  links_.right->doorbell.Drain();
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "wrote 17 as packets of descriptors ahead"));
}

// Sends this slab of the peer's ahead of the messages in it.
Region SendSlab(Link& link, uint32_t number) {
  Region slab = Region::Create(64 << 10).value();
  EXPECT_THAT(SendSlabAdded(link.doorbell, number, slab.size(), slab.fd()), Succeeds());
  return slab;
}

TEST_F(ReceiverTest, LeavesAMessageWhoseSlabTakesADescriptorThatThisProcessHasNot) {
  const Region slab = SendSlab(*links_.left, 1);
  Publish(SlotKind::kMessage, {7});
  Publish(SlotKind::kMessage, {},
          {{.loan = 1, .words = 2},
           {.slab = 1, .loan = 2, .words = 3},
           {.loan = 3, .offset_words = 64, .words = 4}});
  {
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    EXPECT_TRUE(TakeFrom(receiver_).has_value());
    for (int i = 0; i < 100; ++i) {  // more than there are receipts
      EXPECT_THAT(receiver_.Take(), Fails(kResourceExhausted, "RLIMIT_NOFILE is 3"));
      EXPECT_EQ(receiver_.waiting(), Receiver::Waiting::kMessage);
    }
  }
  EXPECT_TRUE(receiver_.Ready());
  EXPECT_EQ(consumed(), 1u);
  EXPECT_EQ(links_.right->receipts.written(), 0u);
  const absl::StatusOr<IncomingBody*> body = receiver_.Take();
  ASSERT_THAT(body, Succeeds());
  EXPECT_EQ((*body)->segments.size(), 3u);
  EXPECT_EQ((*body)->borrowed.size(), 3u);
  (*body)->Release();
  EXPECT_EQ(links_.right->receipts.written(), 3u);
}

TEST_F(ReceiverTest, LeavesADescriptorsMessageUntilThisProcessCanHaveThem) {
  SendFds(2);
  Publish(SlotKind::kFds, {2});
  Publish(SlotKind::kMessage, {0});
  {
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    EXPECT_THAT(receiver_.Take(), Fails(kResourceExhausted, "RLIMIT_NOFILE is 3"));
    EXPECT_EQ(receiver_.waiting(), Receiver::Waiting::kMessage);
  }
  EXPECT_EQ(TakeFrom(receiver_)->fds().size(), 2u);
}

TEST_F(ReceiverTest, RefusesASlabThatIsNotThereAlsoWithoutDescriptors) {
  SendFds(2);
  links_.right->doorbell.Drain();
  Publish(SlotKind::kMessage, {}, {{.slab = 1, .words = 1}});
  const LoweredLimit limit(RLIMIT_NOFILE, 3);
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "a block in slab 1"));
  EXPECT_EQ(receiver_.waiting(), Receiver::Waiting::kNothing);
}

TEST_F(ReceiverTest, RefusesASlabThatDoesNotComeAlsoAfterItWaitedForDescriptors) {
  const Region slab = SendSlab(*links_.left, 1);
  Publish(SlotKind::kMessage, {}, {{.slab = 2, .words = 1}});
  {
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    EXPECT_THAT(receiver_.Take(), Fails(kResourceExhausted, "RLIMIT_NOFILE is 3"));
  }
  EXPECT_THAT(receiver_.Take(), Fails(kDataLoss, "a block in slab 2"));
  EXPECT_EQ(receiver_.waiting(), Receiver::Waiting::kNothing);
}

TEST_F(ReceiverTest, ReadsAMalformedMessageAsAnExceptionAndNothingElse) {
  // A far pointer into segment 77.
  Publish(SlotKind::kMessage, {uint64_t{77} << 32 | 2});
  std::optional<IncomingMessage> message = TakeFrom(receiver_);
  ASSERT_TRUE(message.has_value());
  EXPECT_THROW(message->Root<test::Blob>().getNumber(), kj::Exception);
}

}  // namespace
}  // namespace shoal
