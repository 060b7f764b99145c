// How channels over sockets end, and what peers that are not Shoal's need of them.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "capnp/serialize.h"
#include "gtest/gtest.h"
#include "shoal/tests/child_process.h"
#include "shoal/transport/stream_socket.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

using enum absl::StatusCode;

constexpr size_t kLarge = size_t{24} << 20;  // more than a socket takes

class SocketChannelEnds : public testing::TestWithParam<std::string> {
 protected:
  void ConnectBoth() {
    left_ = Connect(listener_->address()).value();
    right_ = listener_->Accept().value();
  }

  // A bare socket, which blocks, in place of the left channel.
  void ConnectBare() {
    bare_ = DialStream(Address::Parse(listener_->address()).value(),
                       Deadline::After(absl::InfiniteDuration()))
                .value();
    ASSERT_EQ(fcntl(bare_.get(), F_SETFL, 0), 0);
    right_ = listener_->Accept().value();
  }

  // Ends the bare socket with something unread, which resets the connection.
  void Reset() {
    char first = 0;
    ASSERT_EQ(read(bare_.get(), &first, 1), 1);
    bare_ = UniqueFd();
  }

  UniqueAddress unique_{GetParam()};
  std::unique_ptr<Listener> listener_ = Listen(unique_.text()).value();
  std::unique_ptr<Channel> left_;
  std::unique_ptr<Channel> right_;
  UniqueFd bare_;
};

INSTANTIATE_TEST_SUITE_P(Over, SocketChannelEnds, testing::Values("unix", "tcp"),
                         [](const auto& info) { return info.param; });

TEST_P(SocketChannelEnds, AreCleanAlsoWithMessagesUnread) {
  ConnectBoth();
  ASSERT_THAT(Send(*left_, 1), Succeeds());
  ASSERT_THAT(Send(*right_, 2), Succeeds());
  pollfd unread = {.fd = left_->doorbell(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&unread, 1, -1), 1);
  left_.reset();
  ExpectNext(*right_, 1);
  EXPECT_THAT(right_->Receive(), Fails(kUnavailable, "closed the channel"));
}

TEST_P(SocketChannelEnds, AreToldFromAResetByTheReceiver) {
  ConnectBare();
  ASSERT_THAT(Send(*right_, 1), Succeeds());
  Reset();
  EXPECT_THAT(right_->Receive(), Fails(kUnavailable, "is gone"));
  EXPECT_FALSE(right_->ended_by_peer());
}

TEST_P(SocketChannelEnds, AreToldFromAResetThatTheSenderHeardOf) {
  ConnectBare();
  ASSERT_THAT(Send(*right_, 1), Succeeds());
  Reset();
  while (Send(*right_, 2).ok()) {
  }
  EXPECT_THAT(right_->Receive(), Fails(kUnavailable, "is gone"));
  EXPECT_FALSE(right_->ended_by_peer());
}

TEST_P(SocketChannelEnds, TakeNobodyForRoot) {
  ConnectBoth();
  const uid_t uid = GetParam() == "unix" ? geteuid() : kNoUid;
  EXPECT_EQ(left_->peer().uid, uid);
  EXPECT_EQ(right_->peer().uid, uid);
}

TEST_P(SocketChannelEnds, DropWhatIsPending) {
  ConnectBoth();
  ASSERT_THAT(left_->Publish(Numbered(*left_, 1, kLarge), absl::ZeroDuration()), Succeeds());
  ASSERT_EQ(left_->pending_messages(), 1);
  right_.reset();
  EXPECT_THAT(left_->Flush(absl::InfiniteDuration()), Fails(kUnavailable, "is gone"));
  EXPECT_EQ(left_->pending_messages(), 0);
  EXPECT_EQ(left_->pending_bytes(), 0);
  EXPECT_FALSE(left_->Flushable());
}

TEST_P(SocketChannelEnds, LeaveTheMessageThatFailedToItsOwnerAlone) {
  ConnectBoth();
  ASSERT_THAT(left_->Publish(Numbered(*left_, 1, kLarge), absl::ZeroDuration()), Succeeds());
  right_.reset();
  OutgoingMessage message = Numbered(*left_, 2);
  EXPECT_THAT(left_->Publish(std::move(message)), Fails(kUnavailable, "is gone"));
  EXPECT_TRUE(message.has_value());
  EXPECT_EQ(left_->pending_messages(), 0);
}

TEST_P(SocketChannelEnds, RingTheDoorbellOnceAndThenNoMore) {
  ConnectBoth();
  ASSERT_TRUE(right_->ArmDoorbell());
  left_->End();
  pollfd doorbell = {.fd = right_->doorbell(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&doorbell, 1, -1), 1);
  right_->DisarmDoorbell();
  EXPECT_THAT(right_->TryReceive(), Fails(kUnavailable, "closed the channel"));
  EXPECT_FALSE(right_->ArmForMessage());
  right_->DisarmDoorbell();
  EXPECT_EQ(poll(&doorbell, 1, 0), 0) << "a server that goes on sending would never sleep";
}

TEST_P(SocketChannelEnds, GiveTheStockReaderNoMoreSegmentsThanItTakes) {
  ConnectBare();
  std::thread sender([&] {
    OutgoingMessage message = right_->Claim();
    auto blobs = message.InitRoot<test::Blobs>().initBlobs(2000);
    for (auto blob : blobs) {
      blob.initData(100);
    }
    EXPECT_THAT(right_->Publish(std::move(message)), Succeeds());
  });
  EXPECT_NO_THROW({
    capnp::StreamFdMessageReader message(bare_.get());
    EXPECT_EQ(message.getRoot<test::Blobs>().getBlobs()[1999].getData().size(), 100);
  });
  bare_ = UniqueFd();
  sender.join();
}

}  // namespace
}  // namespace shoal
