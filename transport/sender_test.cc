#include "shoal/transport/sender.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "capnp/orphan.h"
#include "gtest/gtest.h"
#include "shoal/transport/has_event.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/parked_flag.h"
#include "shoal/transport/receiver.h"
#include "shoal/transport/test_data.capnp.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

constexpr size_t kSmallBytes = 100;   // in a slot
constexpr size_t kLargeBytes = 4000;  // in a block

class SenderTest : public testing::Test {
 protected:
  BodyRef Built(uint64_t number, size_t data_bytes, uint32_t hint_words = 0) {
    BodyRef body = sender_.Claim(hint_words);
    BuildBlob(body->builder(), number, data_bytes);
    return body;
  }

  void Send(const BodyRef& body) {
    const absl::StatusOr<bool> sent = sender_.Offer(*body);
    ASSERT_THAT(sent, Succeeds());
    ASSERT_TRUE(*sent) << "the ring is full";
  }

  void ExpectFull(const BodyRef& body) {
    const absl::StatusOr<bool> sent = sender_.Offer(*body);
    ASSERT_THAT(sent, Succeeds());
    EXPECT_FALSE(*sent);
  }

  void ExpectNext(uint64_t number, size_t data_bytes) {
    ExpectNextBlob(receiver_, number, data_bytes);
  }

  void FillRing() {
    for (uint32_t i = 0; i < kSmallShape.slots; ++i) {
      Send(Built(i, kSmallBytes));
    }
  }

  void EmptyRing() {
    while (TakeFrom(receiver_).has_value()) {
    }
  }

  // Claims all that is free, so that nothing is left for a message.
  HeldBlock ClaimWholeSlab() { return slabs().Claim(kSmallSlabWords).value(); }

  bool PeerWasRung() {
    const bool rung = HasEvent(links_.right->doorbell.socket());
    links_.right->doorbell.Drain();
    return rung;
  }

  Slabs& slabs() { return links_.left->slabs; }
  Loans& loans() { return links_.left->loans; }

  LinkPair links_ = MakeLinkPair();
  Sender sender_{links_.left};
  Receiver receiver_{links_.right, ChannelOptions::kMaxMessageWords};
};

TEST_F(SenderTest, PutsASmallMessageIntoItsSlot) {
  Send(Built(1, 28 * 8));
  EXPECT_EQ(slabs().claimed_blocks(), 0u);
  ExpectNext(1, 28 * 8);
  EXPECT_EQ(sender_.counters().copied_words.value(), 0u);
  EXPECT_EQ(receiver_.counters().copied_words.value(), 0u);
}

TEST_F(SenderTest, PutsALargeMessageIntoBlocksWithoutCopying) {
  const BodyRef body = Built(1, kLargeBytes);
  const auto* built_at = body->builder().getRoot<test::Blob>().getData().begin();
  Send(body);
  EXPECT_EQ(slabs().lent_blocks(), 1u);
  std::optional<IncomingMessage> message = TakeFrom(receiver_);
  ASSERT_TRUE(message.has_value());
  ExpectBlob(message->reader(), 1, kLargeBytes);
  EXPECT_EQ(sender_.counters().copied_words.value(), 0u);
  EXPECT_EQ(receiver_.counters().copied_words.value(), 0u);
  const auto* read_at = message->Root<test::Blob>().getData().begin();
  const auto* slab = links_.right->theirs.slabs().Find({.words = 1})->words.data();
  EXPECT_EQ(read_at - reinterpret_cast<const capnp::byte*>(slab),
            built_at - reinterpret_cast<const capnp::byte*>(FirstSlab(*links_.left)));
}

TEST_F(SenderTest, SpreadsAMessageOfManyBlocksOverSlots) {
  const BodyRef body = sender_.Claim(0);
  auto pieces = body->builder().initRoot<capnp::AnyPointer>().initAs<capnp::List<capnp::Data>>(12);
  static const capnp::byte kForeign[12][8] = {};
  for (uint32_t i = 0; i < pieces.size(); ++i) {
    pieces.adopt(i, body->builder().getOrphanage().referenceExternalData(
                        capnp::Data::Reader(kForeign[i], sizeof(kForeign[i]))));
  }
  Send(body);
  EXPECT_GE(slabs().lent_blocks(), 12u);
  std::optional<IncomingMessage> message = TakeFrom(receiver_);
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ((message->Root<capnp::AnyPointer>().getAs<capnp::List<capnp::Data>>().size()), 12u);
  EXPECT_EQ(links_.right->own.control().consumed.value, 2u);
}

TEST_F(SenderTest, CopiesMemoryOfTheUsersOwnOnce) {
  alignas(8) static capnp::byte kForeign[4096];
  std::ranges::fill(kForeign, 7);
  const BodyRef body = sender_.Claim(0);
  body->builder().initRoot<test::Blob>().adoptData(
      body->builder().getOrphanage().referenceExternalData(
          capnp::Data::Reader(kForeign, sizeof(kForeign))));
  Send(body);
  EXPECT_EQ(sender_.counters().copied_words.value(), sizeof(kForeign) / sizeof(capnp::word));
  std::ranges::fill(kForeign, 8);
  std::optional<IncomingMessage> message = TakeFrom(receiver_);
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(std::ranges::count(message->Root<test::Blob>().getData(), 7), 4096);
  EXPECT_EQ(receiver_.counters().copied_words.value(), 0u);
}

TEST_F(SenderTest, CopiesWhatWasBuiltOnTheHeapWhenABlockIsFreeByThen) {
  const HeldBlock all = ClaimWholeSlab();
  const BodyRef body = Built(1, kLargeBytes);
  slabs().Drop(all);
  Send(body);
  EXPECT_EQ(slabs().lent_blocks(), 1u);
  EXPECT_EQ(sender_.counters().copied_words.value(), body->segments()[1].size());
  ExpectNext(1, kLargeBytes);
}

TEST_F(SenderTest, SendsAMessageWithNothingInIt) {
  Send(sender_.Claim(0));
  const std::optional<IncomingMessage> message = TakeFrom(receiver_);
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(message->SizeInWords(), 0u);
}

TEST_F(SenderTest, PublishesNothingOfADroppedClaimAndTakesItsBlocksBack) {
  for (int i = 0; i < 4; ++i) {
    Built(i, kLargeBytes);
  }
  std::vector<BodyRef> outstanding;
  for (int i = 0; i < 4; ++i) {
    outstanding.push_back(Built(i, kLargeBytes));
  }
  outstanding.clear();
  sender_.Claim(0);
  EXPECT_EQ(slabs().claimed_blocks(), 0u);
  EXPECT_FALSE(TakeFrom(receiver_).has_value());
}

TEST_F(SenderTest, UsesTheBlocksOfAllDroppedMessagesForTheNext) {
  std::vector<BodyRef> outstanding;
  for (int i = 0; i < 15; ++i) {
    outstanding.push_back(Built(i, kLargeBytes));
  }
  outstanding.clear();
  Send(Built(1, 40000));
  EXPECT_EQ(sender_.counters().copied_words.value(), 0u);
  ExpectNext(1, 40000);
}

TEST_F(SenderTest, PublishesInAnotherOrderThanClaimed) {
  const BodyRef first = Built(1, kSmallBytes);
  const BodyRef second = Built(2, kLargeBytes);
  const BodyRef third = Built(3, kSmallBytes);
  Send(third);
  Send(first);
  Send(second);
  ExpectNext(3, kSmallBytes);
  ExpectNext(1, kSmallBytes);
  ExpectNext(2, kLargeBytes);
}

TEST_F(SenderTest, KeepsHundredsOfClaimsApart) {
  std::vector<BodyRef> claims;
  for (int i = 0; i < 300; ++i) {
    claims.push_back(Built(i, i % 2 == 0 ? kSmallBytes : 300));
  }
  for (int i = 299; i >= 0; --i) {
    Send(claims[i]);
    ExpectNext(i, i % 2 == 0 ? kSmallBytes : 300);
  }
  claims.clear();
  sender_.Claim(0);
  EXPECT_THAT(loans().Collect(links_.left->peer), Succeeds());
  EXPECT_EQ(slabs().claimed_blocks(), 0u);
}

TEST_F(SenderTest, TakesBlocksBackInAnyOrder) {
  for (int i = 0; i < 3; ++i) {
    Send(Built(i, kLargeBytes));
  }
  std::vector<std::optional<IncomingMessage>> messages;
  for (int i = 0; i < 3; ++i) {
    messages.push_back(TakeFrom(receiver_));
  }
  sender_.Claim(0);
  messages[1].reset();
  messages[2].reset();
  EXPECT_THAT(loans().Collect(links_.left->peer), Succeeds());
  EXPECT_EQ(slabs().claimed_blocks(), 1u);
  ExpectBlob(messages[0]->reader(), 0, kLargeBytes);
  messages[0].reset();
  EXPECT_THAT(loans().Collect(links_.left->peer), Succeeds());
  EXPECT_EQ(slabs().claimed_blocks(), 0u);
}

TEST_F(SenderTest, KeepsABlockThatThePeerGaveBackUntilItsMessageIsDropped) {
  BodyRef held = Built(1, kLargeBytes);
  Send(held);
  ExpectNext(1, kLargeBytes);
  Send(Built(2, kLargeBytes));
  EXPECT_EQ(slabs().lent_blocks(), 1u);
  EXPECT_EQ(slabs().claimed_blocks(), 2u);
  EXPECT_EQ(held->builder().getRoot<test::Blob>().getNumber(), 1u);
  EXPECT_EQ(held->builder().getRoot<test::Blob>().getData().size(), kLargeBytes);
  held = BodyRef();
  sender_.Claim(0);
  EXPECT_EQ(slabs().claimed_blocks(), 1u);
}

TEST_F(SenderTest, KeepsABlockThatThePeerHoldsWhateverIsBuiltMeanwhile) {
  Send(Built(1, kLargeBytes));
  std::optional<IncomingMessage> held = TakeFrom(receiver_);
  ASSERT_TRUE(held.has_value());
  for (int i = 0; i < 100; ++i) {
    Send(Built(i, kLargeBytes));
    ExpectNext(i, kLargeBytes);
  }
  ExpectBlob(held->reader(), 1, kLargeBytes);
}

TEST_F(SenderTest, GivesBackTheTailOfABlockThatItsMessageDoesNotFill) {
  Send(Built(1, kSmallBytes, kSmallSlabWords));
  const BodyRef second = Built(2, kSmallBytes, kSmallSlabWords - BlockAllocator::kGranuleWords);
  EXPECT_GE(slabs().claimed_blocks(), 2u);
  Send(second);
  EXPECT_EQ(sender_.counters().copied_words.value(), 0u);
  ExpectNext(1, kSmallBytes);
  ExpectNext(2, kSmallBytes);
}

TEST_F(SenderTest, GivesBuildersZeroMemoryWhateverWasThereBefore) {
  for (int i = 0; i < 20; ++i) {
    const BodyRef body = sender_.Claim(i % 3 * 1000);
    auto data = body->builder().initRoot<test::Blob>().initData(3000 + i * 500);
    ASSERT_EQ(std::ranges::count(data, 0), static_cast<ptrdiff_t>(data.size()));
    std::ranges::fill(data, 0xff);
    Send(body);
    ASSERT_TRUE(TakeFrom(receiver_).has_value());
  }
}

TEST_F(SenderTest, GivesBuildersZeroMemoryWhereOthersWereDroppedUnpublished) {
  for (int i = 0; i < 20; ++i) {
    const BodyRef body = sender_.Claim(i % 3 * 1000);
    auto data = body->builder().initRoot<test::Blob>().initData(30000 - i * 1400);
    ASSERT_EQ(std::ranges::count(data, 0), static_cast<ptrdiff_t>(data.size()));
    std::ranges::fill(data, 0xff);
  }
}

TEST_F(SenderTest, GivesBuildersZeroMemoryWhereTheUsersOwnWasCopiedTo) {
  alignas(8) static capnp::byte kForeign[30000];
  std::ranges::fill(kForeign, 0xff);
  BodyRef body = sender_.Claim(0);
  body->builder().initRoot<test::Blob>().adoptData(
      body->builder().getOrphanage().referenceExternalData(
          capnp::Data::Reader(kForeign, sizeof(kForeign))));
  Send(body);
  body = BodyRef();
  ASSERT_TRUE(TakeFrom(receiver_).has_value());
  sender_.Claim(0);
  EXPECT_THAT(loans().Collect(links_.left->peer), Succeeds());
  body = sender_.Claim(kSmallSlabWords);
  const auto data = body->builder().initRoot<test::Blob>().initData(60000);
  EXPECT_EQ(std::ranges::count(data, 0), 60000);
}

TEST_F(SenderTest, SaysWhenTheRingIsFullAndGoesOnWhenThereIsRoom) {
  FillRing();
  const BodyRef body = Built(16, kSmallBytes);
  ExpectFull(body);
  EXPECT_FALSE(sender_.RoomCame());
  ExpectNext(0, kSmallBytes);
  EXPECT_TRUE(sender_.RoomCame());
  Send(body);
  ExpectFull(Built(17, kSmallBytes));
  for (int i = 1; i <= 16; ++i) {
    ExpectNext(i, kSmallBytes);
  }
}

TEST_F(SenderTest, TakesNoBlockFromAMessageForWhichTheRingIsFull) {
  FillRing();
  const BodyRef body = Built(16, kLargeBytes);
  ExpectFull(body);
  EXPECT_EQ(slabs().lent_blocks(), 0u);
  EmptyRing();
  Send(body);
  ExpectNext(16, kLargeBytes);
}

TEST_F(SenderTest, CountsMessages) {
  Send(Built(1, kSmallBytes));
  Send(Built(2, kLargeBytes));
  Send(Built(3, 2000));
  EXPECT_EQ(sender_.counters().messages.value(), 3u);
}

TEST_F(SenderTest, RingsAParkedPeerOnceASleep) {
  ParkedFlag parked(&links_.right->own.control().parked.value);
  Send(Built(1, kSmallBytes));
  EXPECT_FALSE(PeerWasRung());
  parked.Raise();
  Send(Built(2, kLargeBytes));
  EXPECT_TRUE(PeerWasRung());
  Send(Built(3, kSmallBytes));
  EXPECT_FALSE(PeerWasRung());
  parked.Raise();
  Send(Built(4, kSmallBytes));
  EXPECT_TRUE(PeerWasRung());
}

TEST_F(SenderTest, TellsItsCpuBeforeItRings) {
  const std::atomic<uint64_t>& told = links_.right->theirs.control().cpu.value;
  ParkedFlag parked(&links_.right->own.control().parked.value);
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &before)) {
      continue;
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    parked.Raise();
    Send(Built(1, kSmallBytes));
    EXPECT_EQ(told, static_cast<uint64_t>(cpu) + 1);
    ExpectNext(1, kSmallBytes);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
}

TEST_F(SenderTest, SaysThatNothingFollows) {
  Send(Built(1, kSmallBytes));
  const absl::StatusOr<bool> sent = sender_.OfferEnd();
  ASSERT_THAT(sent, Succeeds());
  EXPECT_TRUE(*sent);
  ExpectNext(1, kSmallBytes);
  EXPECT_FALSE(TakeFrom(receiver_).has_value());
  EXPECT_TRUE(receiver_.ended());
}

TEST_F(SenderTest, SaysThatNothingFollowsOnlyWhenThereIsRoomToSaySo) {
  FillRing();
  absl::StatusOr<bool> sent = sender_.OfferEnd();
  ASSERT_THAT(sent, Succeeds());
  EXPECT_FALSE(*sent);
  ExpectNext(0, kSmallBytes);
  EXPECT_TRUE(sender_.RoomCame());
  sent = sender_.OfferEnd();
  ASSERT_THAT(sent, Succeeds());
  EXPECT_TRUE(*sent);
}

TEST_F(SenderTest, RingsAParkedPeerWhenNothingFollows) {
  ParkedFlag(&links_.right->own.control().parked.value).Raise();
  ASSERT_THAT(sender_.OfferEnd(), Succeeds());
  EXPECT_TRUE(PeerWasRung());
}

TEST_F(SenderTest, TakesMessagesBackThatOtherThreadsDrop) {
  for (int round = 0; round < 50; ++round) {
    BodyRef body = Built(round, kLargeBytes);
    Send(body);
    std::optional<IncomingMessage> message = TakeFrom(receiver_);
    ASSERT_TRUE(message.has_value());
    std::jthread sender_side([mine = std::move(body)]() mutable { mine = BodyRef(); });
    std::jthread receiver_side([&message] { message.reset(); });
  }
  sender_.Claim(0);
  EXPECT_THAT(loans().Collect(links_.left->peer), Succeeds());
  EXPECT_EQ(slabs().claimed_blocks(), 0u);
}

}  // namespace
}  // namespace shoal
