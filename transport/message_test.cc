#include "shoal/transport/message.h"

#include <memory>
#include <optional>
#include <thread>
#include <tuple>
#include <utility>

#include "gtest/gtest.h"
#include "kj/exception.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/test_data.capnp.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

constexpr size_t kSmallBytes = 100;    // in a slot
constexpr size_t kLargeBytes = 10000;  // in a block

class MessageTest : public testing::Test {
 protected:
  OutgoingMessage Built(uint64_t number, size_t data_bytes) {
    OutgoingMessage message = left_->Claim();
    BuildBlob(message.builder(), number, data_bytes);
    return message;
  }

  IncomingMessage Sent(uint64_t number, size_t data_bytes) {
    EXPECT_THAT(left_->Publish(Built(number, data_bytes)), Succeeds());
    return right_->Receive().value();
  }

  void CloseChannel() {
    left_.reset();
    right_.reset();
  }

  std::unique_ptr<Channel> left_;
  std::unique_ptr<Channel> right_;

 private:
  void SetUp() override { std::tie(left_, right_) = ChannelPair().value(); }
};

TEST_F(MessageTest, IsBuiltAndReadAsAnyCapnpMessage) {
  OutgoingMessage out = left_->Claim();
  out.InitRoot<test::Blob>().setNumber(1);
  out.GetRoot<test::Blob>().adoptData(out.orphanage().newOrphan<capnp::Data>(50));
  EXPECT_EQ(out.SizeInWords(), out.builder().sizeInWords());
  const uint64_t words = out.SizeInWords();
  ASSERT_THAT(left_->Publish(std::move(out)), Succeeds());
  IncomingMessage in = right_->Receive().value();
  EXPECT_EQ(in.Root<test::Blob>().getNumber(), 1u);
  EXPECT_EQ(in.Root<test::Blob>().getData().size(), 50u);
  EXPECT_EQ(in.SizeInWords(), words);
}

TEST_F(MessageTest, HasNoWordsUntilItsRootIsMade) {
  OutgoingMessage out = left_->Claim();
  EXPECT_EQ(out.SizeInWords(), 0u);
  out.InitRoot<test::Blob>();
  EXPECT_EQ(out.SizeInWords(), 3u);
}

TEST_F(MessageTest, IsGoneFromItsHandleOncePublished) {
  OutgoingMessage out = Built(1, kSmallBytes);
  EXPECT_TRUE(out.has_value());
  ASSERT_THAT(left_->Publish(std::move(out)), Succeeds());
  EXPECT_FALSE(out.has_value());
}

TEST_F(MessageTest, IsReadThroughASecondHandleAfterItWasPublished) {
  OutgoingMessage out = Built(1, kLargeBytes);
  OutgoingMessage kept = out.Share();
  ASSERT_THAT(left_->Publish(std::move(out)), Succeeds());
  right_->Receive().value();
  for (int i = 2; i < 10; ++i) {
    Sent(i, kLargeBytes);
  }
  const auto blob = kept.GetRoot<test::Blob>().asReader();
  EXPECT_EQ(blob.getNumber(), 1u);
  EXPECT_EQ(blob.getData().size(), kLargeBytes);
}

TEST_F(MessageTest, IsNotPublishedWhenItIsDropped) {
  Built(1, kLargeBytes);
  EXPECT_FALSE(right_->TryReceive().value().has_value());
  left_->Claim();
  EXPECT_EQ(left_->stats().blocks_claimed, 0u);
}

TEST_F(MessageTest, StaysReadableWhenTheChannelIsGone) {
  IncomingMessage small = Sent(1, kSmallBytes);
  IncomingMessage large = Sent(2, kLargeBytes);
  CloseChannel();
  ExpectBlob(small.reader(), 1, kSmallBytes);
  ExpectBlob(large.reader(), 2, kLargeBytes);
}

TEST_F(MessageTest, StaysBuildableWhenTheChannelIsGone) {
  OutgoingMessage message = Built(1, kLargeBytes);
  CloseChannel();
  BuildBlob(message.builder(), 2, 2 * kLargeBytes);
  EXPECT_EQ(message.GetRoot<test::Blob>().getData().size(), 2 * kLargeBytes);
}

TEST_F(MessageTest, IsReleasedToAPeerThatStillUsesItsEnd) {
  std::optional<IncomingMessage> held = Sent(1, kLargeBytes);
  right_.reset();
  held.reset();
  EXPECT_EQ(left_->stats().blocks_lent, 1u);
  EXPECT_EQ(left_->Receive().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(MessageTest, MayBeDroppedOnAnyThread) {
  for (int i = 0; i < 20; ++i) {
    OutgoingMessage out = Built(i, kLargeBytes);
    std::jthread([dropped = out.Share()] {}).join();
    ASSERT_THAT(left_->Publish(std::move(out)), Succeeds());
    std::jthread([in = right_->Receive().value()]() mutable {
      ExpectBlob(in.reader(), in.Root<test::Blob>().getNumber(), kLargeBytes);
    }).join();
  }
  ASSERT_THAT(left_->Publish(Built(20, kLargeBytes)), Succeeds());
  EXPECT_EQ(left_->stats().blocks_lent, 1u);
}

TEST_F(MessageTest, MayBeDroppedOnAnotherThreadWhileTheChannelEnds) {
  OutgoingMessage out = Built(1, kLargeBytes);
  IncomingMessage in = Sent(2, kLargeBytes);
  std::jthread outgoing([dropped = std::move(out)]() mutable { dropped.Reset(); });
  std::jthread incoming(
      [dropped = std::make_optional(std::move(in))]() mutable { dropped.reset(); });
  CloseChannel();
}

TEST_F(MessageTest, IsReadWithTheLimitsOfItsReopening) {
  IncomingMessage in = Sent(1, kLargeBytes);
  in.Reopen({.traversalLimitInWords = 10, .nestingLimit = 64});
  EXPECT_THROW(in.Root<test::Blob>().getData(), kj::Exception);
  in.Reopen({});
  ExpectBlob(in.reader(), 1, kLargeBytes);
}

TEST_F(MessageTest, MovesWithItsHandle) {
  IncomingMessage first = Sent(1, kLargeBytes);
  IncomingMessage second = std::move(first);
  ExpectBlob(second.reader(), 1, kLargeBytes);
  second = Sent(2, kSmallBytes);
  ExpectBlob(second.reader(), 2, kSmallBytes);
}

}  // namespace
}  // namespace shoal
