// What a Sender does with a message for which no block is free.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "capnp/orphan.h"
#include "gtest/gtest.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/parked_flag.h"
#include "shoal/transport/receiver.h"
#include "shoal/transport/sender.h"
#include "shoal/transport/test_data.capnp.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

// More than the slab and many times the ring hold.
constexpr size_t kHugeBytes = 100'000;
constexpr size_t kSmallBytes = 100;
constexpr size_t kLargeBytes = 1000;

class FragmentsTest : public testing::Test {
 protected:
  BodyRef Built(uint64_t number, size_t data_bytes) {
    BodyRef body = sender_.Claim(0);
    BuildBlob(body->builder(), number, data_bytes);
    return body;
  }

  bool Offer(const BodyRef& body) {
    const absl::StatusOr<bool> sent = sender_.Offer(*body);
    EXPECT_THAT(sent, Succeeds());
    return sent.ok() && *sent;
  }

  // Offers until all of `body` has gone; the message that the peer has then, if it is one in
  // fragments.
  std::optional<IncomingMessage> Deliver(const BodyRef& body) {
    while (!HasFailure() && !Offer(body)) {
      std::optional<IncomingMessage> message = TakeFrom(receiver_);
      EXPECT_FALSE(message.has_value()) << "arrived before it had gone";
    }
    return TakeFrom(receiver_);
  }

  LinkPair links_ = MakeLinkPair();
  Sender sender_{links_.left};
  Receiver receiver_{links_.right, ChannelOptions::kMaxMessageWords};
};

TEST_F(FragmentsTest, ArriveAsTheMessageThatWasBuilt) {
  std::optional<IncomingMessage> message = Deliver(Built(1, kHugeBytes));
  ASSERT_TRUE(message.has_value());
  ExpectBlob(message->reader(), 1, kHugeBytes);
  EXPECT_EQ(links_.left->slabs.lent_blocks(), 0u);
  EXPECT_EQ(sender_.counters().messages.value(), 1u);
  EXPECT_EQ(receiver_.counters().messages.value(), 1u);
}

TEST_F(FragmentsTest, CountAsCopied) {
  const BodyRef body = Built(1, kHugeBytes);
  const uint64_t words = body->builder().sizeInWords();
  ASSERT_TRUE(Deliver(body).has_value());
  EXPECT_GE(sender_.counters().copied_words.value(), words);
  EXPECT_GE(receiver_.counters().copied_words.value(), words);
}

TEST_F(FragmentsTest, KeepTheirPlaceBetweenOtherMessages) {
  ASSERT_TRUE(Offer(Built(1, kSmallBytes)));
  const BodyRef huge = Built(2, kHugeBytes);
  ASSERT_FALSE(Offer(huge));
  ExpectNextBlob(receiver_, 1, kSmallBytes);
  std::optional<IncomingMessage> message = Deliver(huge);
  ASSERT_TRUE(message.has_value());
  ASSERT_TRUE(Offer(Built(3, kSmallBytes)));
  ExpectBlob(message->reader(), 2, kHugeBytes);
  ExpectNextBlob(receiver_, 3, kSmallBytes);
}

TEST_F(FragmentsTest, AreUsedWhileThePeerHoldsAllLoans) {
  std::vector<std::optional<IncomingMessage>> held;
  for (uint32_t i = 0; i < kSmallShape.receipts; ++i) {
    ASSERT_TRUE(Offer(Built(i, kLargeBytes)));
    held.push_back(TakeFrom(receiver_));
  }
  ASSERT_EQ(links_.left->loans.available(), 0u);
  ASSERT_TRUE(Offer(Built(16, kLargeBytes)));
  EXPECT_GT(sender_.counters().copied_words.value(), 0u);
  ExpectNextBlob(receiver_, 16, kLargeBytes);
  ExpectBlob(held[0]->reader(), 0, kLargeBytes);
}

TEST_F(FragmentsTest, AreUsedNoMoreOnceThePeerGivesBack) {
  std::vector<std::optional<IncomingMessage>> held;
  for (uint32_t i = 0; i < kSmallShape.receipts; ++i) {
    ASSERT_TRUE(Offer(Built(i, kLargeBytes)));
    held.push_back(TakeFrom(receiver_));
  }
  held.clear();
  ASSERT_TRUE(Offer(Built(16, kLargeBytes)));
  EXPECT_EQ(sender_.counters().copied_words.value(), 0u);
  ExpectNextBlob(receiver_, 16, kLargeBytes);
}

TEST_F(FragmentsTest, AreUsedForMoreSegmentsThanAMessageMayTakeSlots) {
  const LinkPair links = MakeLinkPair({.slots = 16, .receipts = 256, .slab_bytes = 1 << 20});
  Sender sender(links.left);
  Receiver receiver(links.right, ChannelOptions::kMaxMessageWords);
  const BodyRef body = sender.Claim(0);
  auto pieces = body->builder().initRoot<capnp::AnyPointer>().initAs<capnp::List<capnp::Data>>(100);
  static const capnp::byte kForeign[100][8] = {{1}, {2}, {3}};
  for (uint32_t i = 0; i < pieces.size(); ++i) {
    pieces.adopt(i, body->builder().getOrphanage().referenceExternalData(
                        capnp::Data::Reader(kForeign[i], sizeof(kForeign[i]))));
  }
  ASSERT_TRUE(sender.Offer(*body).value());
  EXPECT_EQ(links.left->slabs.lent_blocks(), 0u);
  EXPECT_GT(sender.counters().copied_words.value(), 100u);
  std::optional<IncomingMessage> message = TakeFrom(receiver);
  ASSERT_TRUE(message.has_value());
  const auto arrived = message->Root<capnp::AnyPointer>().getAs<capnp::List<capnp::Data>>();
  ASSERT_EQ(arrived.size(), 100u);
  EXPECT_EQ(arrived[2][0], 3);
  EXPECT_EQ(arrived[99][0], 0);
}

TEST_F(FragmentsTest, RingAParkedPeerThatMustMakeRoomForTheRest) {
  ParkedFlag(&links_.right->own.control().parked.value).Raise();
  ASSERT_FALSE(Offer(Built(1, kHugeBytes)));
  EXPECT_FALSE(links_.left->parked_peer.MustRing()) << "it was rung in this sleep";
}

TEST_F(FragmentsTest, AreForgottenByThePeerWhenTheirMessageIsAbandoned) {
  BodyRef huge = Built(1, kHugeBytes);
  ASSERT_FALSE(Offer(huge));
  EXPECT_FALSE(TakeFrom(receiver_).has_value());
  sender_.Abandon();
  huge = BodyRef();
  ASSERT_TRUE(Offer(Built(2, kLargeBytes)));
  ExpectNextBlob(receiver_, 2, kLargeBytes);
  EXPECT_EQ(receiver_.counters().messages.value(), 1u);
}

TEST_F(FragmentsTest, StartAnewWhenTheirMessageIsOfferedAgainAfterItWasAbandoned) {
  const BodyRef huge = Built(1, kHugeBytes);
  ASSERT_FALSE(Offer(huge));
  sender_.Abandon();
  std::optional<IncomingMessage> message = Deliver(huge);
  ASSERT_TRUE(message.has_value());
  ExpectBlob(message->reader(), 1, kHugeBytes);
}

TEST_F(FragmentsTest, AreAbandonedOnlyIfSomeWent) {
  sender_.Abandon();
  ASSERT_TRUE(Offer(Built(1, kSmallBytes)));
  ExpectNextBlob(receiver_, 1, kSmallBytes);
  EXPECT_EQ(links_.right->own.control().consumed.value, 1u);
}

TEST_F(FragmentsTest, WaitForRoomToSayThatTheirMessageIsAbandoned) {
  ASSERT_FALSE(Offer(Built(1, kHugeBytes)));
  sender_.Abandon();
  const BodyRef next = Built(2, kSmallBytes);
  ASSERT_FALSE(Offer(next));
  EXPECT_FALSE(sender_.RoomCame());
  EXPECT_FALSE(TakeFrom(receiver_).has_value());
  EXPECT_TRUE(sender_.RoomCame());
  ASSERT_TRUE(Offer(next));
  ExpectNextBlob(receiver_, 2, kSmallBytes);
}

TEST_F(FragmentsTest, MayBeTheLastThingBeforeTheEnd) {
  ASSERT_FALSE(Offer(Built(1, kHugeBytes)));
  EXPECT_FALSE(TakeFrom(receiver_).has_value());
  sender_.Abandon();
  ASSERT_THAT(sender_.OfferEnd(), Succeeds());
  EXPECT_FALSE(TakeFrom(receiver_).has_value());
  EXPECT_TRUE(receiver_.ended());
}

// Of its two segments on the heap only the first finds a block when the message is offered, and
// both do when it is offered again.
TEST_F(FragmentsTest, LeaveNoStaleCopyOfAMessageThatChangesAfterItWasAbandoned) {
  Slabs& slabs = links_.left->slabs;
  const HeldBlock all = slabs.Claim(kSmallSlabWords).value();
  const BodyRef body = Built(1, 10'000);
  const auto second = body->builder().getOrphanage().newOrphan<capnp::Data>(28'000);
  slabs.Drop(all);
  const HeldBlock half = slabs.Claim(kSmallSlabWords / 2).value();
  ASSERT_FALSE(Offer(body));
  EXPECT_EQ(slabs.claimed_blocks(), 1u);
  sender_.Abandon();
  EXPECT_FALSE(TakeFrom(receiver_).has_value());
  slabs.Drop(half);
  std::ranges::fill(body->builder().getRoot<test::Blob>().getData(), 99);
  ASSERT_TRUE(Offer(body));
  std::optional<IncomingMessage> message = TakeFrom(receiver_);
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(std::ranges::count(message->Root<test::Blob>().getData(), 99), 10'000);
}

TEST_F(FragmentsTest, OutliveTheirSenderAndReceiver) {
  std::optional<IncomingMessage> message;
  {
    const LinkPair links = MakeLinkPair();
    Sender sender(links.left);
    Receiver receiver(links.right, ChannelOptions::kMaxMessageWords);
    ASSERT_TRUE(links.left->slabs.Claim(kSmallSlabWords).has_value());
    const BodyRef body = sender.Claim(0);
    BuildBlob(body->builder(), 1, kLargeBytes);
    ASSERT_THAT(sender.Offer(*body), Succeeds());
    message = TakeFrom(receiver);
  }
  ASSERT_TRUE(message.has_value());
  ExpectBlob(message->reader(), 1, kLargeBytes);
}

}  // namespace
}  // namespace shoal
