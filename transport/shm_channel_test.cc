// What is left to each kind of channel: a full ring, spilling, the doorbell.
#include "shoal/transport/shm_channel.h"

#include <thread>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/transport/has_event.h"
#include "shoal/transport/test_channels.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(ShmChannelWhenFull, BlocksUntilTheDeadlineAndKeepsTheMessage) {
  Pair full(Smallest());
  for (uint64_t i = 0; i < ChannelOptions::kMinSlots; ++i) {
    ASSERT_TRUE(Send(*full.left, i).ok());
  }
  OutgoingMessage message = Numbered(*full.left, 99);
  const absl::Status status = full.left->Publish(std::move(message), absl::Milliseconds(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  ASSERT_TRUE(message.has_value());
  ExpectNext(*full.right, 0);
  EXPECT_TRUE(full.left->Publish(std::move(message)).ok());
}

TEST(ShmChannelWhenFull, FailsAtOnceAndNamesTheOption) {
  Pair pair(SmallestThat(WhenFull::kFail));
  EXPECT_EQ(Fill(*pair.left), ChannelOptions::kMinSlots);
  const absl::Status status = Send(*pair.left, 99);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(Text(status), AllOf(HasSubstr("ChannelOptions::slots"), HasSubstr("16")));
  ASSERT_TRUE(Send(*pair.right, 1).ok());  // the other direction has its own ring
  ExpectNext(*pair.left, 1);
}

TEST(ShmChannelWhenFull, ForgetsAMessageThatWentInPartWhenItFails) {
  Pair pair(SmallestThat(WhenFull::kFail));
  const absl::Status failed = Send(*pair.left, 1, 100000);  // more than the ring and the slab hold
  ASSERT_TRUE(absl::IsResourceExhausted(failed)) << failed;
  EXPECT_FALSE(pair.right->TryReceive()->has_value());
  ASSERT_TRUE(Send(*pair.left, 2).ok());
  ExpectNext(*pair.right, 2);
}

TEST(ShmChannelWhenFull, SpillsInOrderAndReportsWhatIsPending) {
  Pair pair(SmallestThat(WhenFull::kSpill));
  constexpr uint64_t kMessages = 1000;
  for (uint64_t i = 0; i < kMessages; ++i) {
    ASSERT_TRUE(Send(*pair.left, i, 100).ok());
  }
  EXPECT_EQ(pair.left->pending_messages(), kMessages - ChannelOptions::kMinSlots);
  EXPECT_GE(pair.left->pending_bytes(), 100 * pair.left->pending_messages());
  EXPECT_TRUE(absl::IsDeadlineExceeded(pair.left->Flush(absl::ZeroDuration())));
  std::thread reader([&] {
    for (uint64_t i = 0; i < kMessages; ++i) {
      ExpectNext(*pair.right, i, 100);
    }
  });
  EXPECT_TRUE(pair.left->Flush(absl::InfiniteDuration()).ok());
  reader.join();
  EXPECT_EQ(pair.left->pending_messages(), 0);
  EXPECT_EQ(pair.left->pending_bytes(), 0);
}

TEST(ShmChannelWhenFull, SpillsNoMoreThanItsBoundAndNamesIt) {
  ChannelOptions options = SmallestThat(WhenFull::kSpill);
  options.max_pending_bytes = 1000;
  Pair pair(options);
  Fill(*pair.left);
  const absl::Status status = Send(*pair.left, 1);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(Text(status), AllOf(HasSubstr("max_pending_bytes"), HasSubstr("1000")));
  EXPECT_LE(pair.left->pending_bytes(), 1000);
}

TEST(ShmChannelWhenFull, FlushesWhatIsPendingWhenItIsDestroyed) {
  Pair pair(SmallestThat(WhenFull::kSpill));
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(Send(*pair.left, i).ok());
  }
  std::thread reader([&] {
    for (uint64_t i = 0; i < 100; ++i) {
      ExpectNext(*pair.right, i);
    }
    EXPECT_TRUE(absl::IsUnavailable(pair.right->Receive().status()));
    EXPECT_TRUE(pair.right->ended_by_peer());
  });
  pair.left.reset();
  reader.join();
}

TEST(ShmChannelDoorbell, RingsOnceForWhatItWasArmedForAndIsSilentOtherwise) {
  Pair pair;
  ASSERT_TRUE(Send(*pair.left, 1).ok());
  EXPECT_FALSE(HasEvent(pair.right->doorbell()));
  EXPECT_FALSE(pair.right->ArmDoorbell());  // a message is there
  ExpectNext(*pair.right, 1);
  pair.right->DrainDoorbell();
  ASSERT_TRUE(pair.right->ArmDoorbell());
  ASSERT_TRUE(Send(*pair.left, 2).ok());
  ASSERT_TRUE(Send(*pair.left, 3).ok());
  EXPECT_TRUE(HasEvent(pair.right->doorbell()));
  pair.right->DisarmDoorbell();
  pair.right->DrainDoorbell();
  EXPECT_FALSE(HasEvent(pair.right->doorbell()));
  ExpectNext(*pair.right, 2);
}

TEST(ShmChannelDoorbell, RingsForRoomWhenSomethingIsPending) {
  Pair pair(SmallestThat(WhenFull::kSpill));
  for (uint64_t i = 0; i <= ChannelOptions::kMinSlots; ++i) {
    ASSERT_TRUE(Send(*pair.left, i).ok());
  }
  ASSERT_TRUE(pair.left->ArmDoorbell());
  ExpectNext(*pair.right, 0);
  EXPECT_TRUE(HasEvent(pair.left->doorbell()));
  EXPECT_TRUE(pair.left->Flushable());
}

TEST(ShmChannelDoorbell, IsReadableWhenThePeerIsGone) {
  Pair pair;
  ASSERT_TRUE(pair.right->ArmDoorbell());
  pair.left.reset();
  EXPECT_TRUE(HasEvent(pair.right->doorbell()));
  pair.right->DrainDoorbell();
  EXPECT_TRUE(pair.right->Readable());
}

}  // namespace
}  // namespace shoal
