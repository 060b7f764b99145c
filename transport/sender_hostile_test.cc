// What a Sender says to a peer that writes what cannot be.
#include <cstdint>
#include <optional>

#include "gtest/gtest.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/receiver.h"
#include "shoal/transport/sender.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr size_t kSmallBytes = 100;
constexpr size_t kLargeBytes = 1000;

class HostilePeerTest : public testing::Test {
 protected:
  absl::StatusOr<bool> Offer(size_t data_bytes) {
    const BodyRef body = sender_.Claim(0);
    BuildBlob(body->builder(), 1, data_bytes);
    return sender_.Offer(*body);
  }

  void FillRing() {
    while (true) {
      const absl::StatusOr<bool> sent = Offer(kSmallBytes);
      ASSERT_THAT(sent, Succeeds());
      if (!*sent) {
        return;
      }
    }
  }

  void SayConsumed(uint64_t slots) { links_.right->own.control().consumed.value = slots; }

  // Writes the receipt that the sender reads next after `earlier` others of the first lap.
  void SayReceipt(uint32_t earlier, uint32_t loan) {
    links_.right->own.receipts()[earlier] = uint64_t{1} << 32 | loan;
  }

  LinkPair links_ = MakeLinkPair();
  Sender sender_{links_.left};
  Receiver receiver_{links_.right, ChannelOptions::kMaxMessageWords};
};

TEST_F(HostilePeerTest, MayNotHaveConsumedMoreThanWasPublished) {
  FillRing();
  SayConsumed(17);
  EXPECT_THAT(Offer(kSmallBytes),
              Fails(kDataLoss, "wrote 17 as consumed, which must be from 0 to 16"));
}

TEST_F(HostilePeerTest, MayNotHaveConsumedAsMuchAsANumberHolds) {
  FillRing();
  SayConsumed(UINT64_MAX);
  EXPECT_THAT(Offer(kSmallBytes), Fails(kDataLoss, "wrote 18446744073709551615 as consumed"));
}

TEST_F(HostilePeerTest, MayNotTakeBackWhatItHasConsumed) {
  FillRing();
  SayConsumed(8);
  FillRing();
  SayConsumed(7);
  EXPECT_THAT(Offer(kSmallBytes),
              Fails(kDataLoss, "wrote 7 as consumed, which must be from 8 to 24"));
}

TEST_F(HostilePeerTest, IsNamedInTheError) {
  FillRing();
  SayConsumed(17);
  EXPECT_THAT(Offer(kSmallBytes), Fails(kDataLoss, "shm:right (pid "));
}

TEST_F(HostilePeerTest, EndsTheWaitForRoomByConsumingMoreThanWasPublished) {
  FillRing();
  ASSERT_FALSE(sender_.RoomCame());
  SayConsumed(1'000'000);
  EXPECT_TRUE(sender_.RoomCame());
}

TEST_F(HostilePeerTest, EndsTheWaitForRoomByConsumingLessThanBefore) {
  FillRing();
  SayConsumed(8);
  FillRing();
  ASSERT_FALSE(sender_.RoomCame());
  SayConsumed(7);
  EXPECT_TRUE(sender_.RoomCame());
}

TEST_F(HostilePeerTest, MayNotGiveBackABlockThatItNeverHad) {
  SayReceipt(0, 5);
  EXPECT_THAT(Offer(kLargeBytes), Fails(kDataLoss,
                                        "wrote 5 as a receipt, which must be a block "
                                        "that it has and has not given back"));
}

TEST_F(HostilePeerTest, MayNotGiveBackABlockTwice) {
  ASSERT_THAT(Offer(kLargeBytes), Succeeds());
  const absl::StatusOr<IncomingBody*> body = receiver_.Take();
  ASSERT_THAT(body, Succeeds());
  ASSERT_EQ((*body)->borrowed.size(), 1u);
  const uint32_t loan = (*body)->borrowed[0].loan;
  (*body)->Release();
  SayReceipt(1, loan);
  EXPECT_THAT(Offer(kLargeBytes), Fails(kDataLoss, "as a receipt"));
}

TEST_F(HostilePeerTest, MayNotGiveBackALoanThatThereCannotBe) {
  ASSERT_THAT(Offer(kLargeBytes), Succeeds());
  SayReceipt(0, kSmallShape.receipts);
  EXPECT_THAT(Offer(kLargeBytes), Fails(kDataLoss, "wrote 16 as a receipt"));
}

TEST_F(HostilePeerTest, MayNotGiveBackTheLargestLoanThatANumberHolds) {
  SayReceipt(0, UINT32_MAX);
  EXPECT_THAT(Offer(kLargeBytes), Fails(kDataLoss, "wrote 4294967295 as a receipt"));
}

TEST_F(HostilePeerTest, GivesNothingBackWithAReceiptOfAnotherLap) {
  ASSERT_THAT(Offer(kLargeBytes), Succeeds());
  links_.right->own.receipts()[0] = uint64_t{2} << 32;
  EXPECT_THAT(Offer(kLargeBytes), Succeeds());
  EXPECT_EQ(links_.left->slabs.lent_blocks(), 2u);
}

TEST_F(HostilePeerTest, MayNotInterruptAMessageInFragmentsEither) {
  const BodyRef body = sender_.Claim(0);
  BuildBlob(body->builder(), 1, 100'000);
  ASSERT_THAT(sender_.Offer(*body), Succeeds());
  SayConsumed(17);
  EXPECT_THAT(sender_.Offer(*body), Fails(kDataLoss, "wrote 17 as consumed"));
}

}  // namespace
}  // namespace shoal
