// Descriptors that go with messages.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "capnp/message.h"
#include "capnp/serialize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/schema/news.capnp.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/packet.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {
namespace {

using testing::HasSubstr;

constexpr uint32_t kMaxFds = 4;

ChannelOptions TakingFds(ChannelOptions options = {}) {
  options.max_fds_per_message = kMaxFds;
  return options;
}

// An open file that is told from all others by its content.
UniqueFd FileSaying(uint64_t number) {
  UniqueFd file(memfd_create("file", MFD_CLOEXEC));
  EXPECT_EQ(pwrite(file.get(), &number, sizeof(number), 0), sizeof(number));
  return file;
}

void ExpectSays(const UniqueFd& file, uint64_t number) {
  uint64_t said = 0;
  ASSERT_EQ(pread(file.get(), &said, sizeof(said), 0), sizeof(said));
  EXPECT_EQ(said, number);
}

// Publishes message `number` with so many files, which say `number` and what follows; they are
// closed as soon as it is published.
absl::Status SendWithFiles(Channel& channel, uint64_t number, size_t files, size_t bytes = 0) {
  std::vector<UniqueFd> open;
  std::vector<int> fds;
  for (size_t i = 0; i < files; ++i) {
    open.push_back(FileSaying(number + i));
    fds.push_back(open.back().get());
  }
  OutgoingMessage message = Numbered(channel, number, bytes);
  message.SetFds(fds);
  return channel.Publish(std::move(message));
}

void ExpectNextWithFiles(Channel& channel, uint64_t number, size_t files, size_t bytes = 0) {
  auto message = channel.Receive();
  ASSERT_TRUE(message.ok()) << message.status();
  ExpectNumbered(*message, number, bytes);
  ASSERT_EQ(message->fds().size(), files);
  for (size_t i = 0; i < files; ++i) {
    ExpectSays(message->fds()[i], number + i);
  }
}

// One of the limits is what the test counts.
class ChannelFds : public testing::Test {
 protected:
  ~ChannelFds() override { EXPECT_EQ(OpenDescriptors(), before_); }

  const size_t before_ = OpenDescriptors();
};

TEST_F(ChannelFds, ArriveWithTheirMessage) {
  Pair pair(TakingFds());
  ASSERT_TRUE(SendWithFiles(*pair.left, 10, 2).ok());
  ASSERT_TRUE(Send(*pair.left, 20).ok());
  ASSERT_TRUE(SendWithFiles(*pair.left, 30, kMaxFds, 100'000).ok());
  ExpectNextWithFiles(*pair.right, 10, 2);
  ExpectNextWithFiles(*pair.right, 20, 0);
  ExpectNextWithFiles(*pair.right, 30, kMaxFds, 100'000);
}

TEST_F(ChannelFds, BelongToWhoMovesThemOut) {
  Pair pair(TakingFds());
  ASSERT_TRUE(SendWithFiles(*pair.left, 1, 2).ok());
  UniqueFd kept;
  {
    auto message = pair.right->Receive();
    ASSERT_TRUE(message.ok()) << message.status();
    kept = std::move(message->fds()[1]);
  }
  ExpectSays(kept, 2);
  EXPECT_NE(fcntl(kept.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(ChannelFds, WaitForAReaderThatHasNotReadThoseBefore) {
  Pair pair(TakingFds());
  constexpr uint64_t kMessages = 1000;
  std::thread sender([&] {
    for (uint64_t i = 0; i < kMessages; ++i) {
      ASSERT_TRUE(SendWithFiles(*pair.left, i, i % 3).ok());
    }
  });
  for (uint64_t i = 0; i < kMessages; ++i) {
    ExpectNextWithFiles(*pair.right, i, i % 3);
  }
  sender.join();
}

TEST_F(ChannelFds, GoWithMessagesInFragments) {
  Pair pair(TakingFds(Smallest()));
  std::thread sender([&] {
    for (uint64_t i = 0; i < 20; ++i) {
      ASSERT_TRUE(SendWithFiles(*pair.left, i, 1, 200'000).ok());
    }
  });
  for (uint64_t i = 0; i < 20; ++i) {
    ExpectNextWithFiles(*pair.right, i, 1, 200'000);
  }
  sender.join();
}

TEST_F(ChannelFds, OfAMessageThatSpilledAreCopiesUntilItIsSent) {
  Pair pair(TakingFds(SmallestThat(WhenFull::kSpill)));
  constexpr uint64_t kMessages = 100;
  for (uint64_t i = 0; i < kMessages; ++i) {
    ASSERT_TRUE(SendWithFiles(*pair.left, i, 2).ok());
  }
  ASSERT_GT(pair.left->pending_messages(), 0);
  for (uint64_t i = 0; i < kMessages; ++i) {
    ExpectNextWithFiles(*pair.right, i, 2);
    pair.left->Flush(absl::ZeroDuration()).IgnoreError();
  }
}

TEST_F(ChannelFds, OfAMessageThatFoundNoRoomAreNotTakenForTheNextOnes) {
  Pair pair(TakingFds(SmallestThat(WhenFull::kFail)));
  uint64_t sent = 0;
  while (Send(*pair.left, sent).ok()) {
    ++sent;
  }
  ExpectNext(*pair.right, 0);
  // Room for the slot that tells of descriptors, none for their message.
  ASSERT_TRUE(absl::IsResourceExhausted(SendWithFiles(*pair.left, 1000, 2)));
  for (uint64_t i = 1; i < sent; ++i) {
    ExpectNextWithFiles(*pair.right, i, 0);
  }
  ASSERT_TRUE(Send(*pair.left, 2000).ok());
  ASSERT_TRUE(SendWithFiles(*pair.left, 3000, 1).ok());
  ExpectNextWithFiles(*pair.right, 2000, 0);
  ExpectNextWithFiles(*pair.right, 3000, 1);
}

TEST_F(ChannelFds, AreClosedWhenNobodyReceivesThem) {
  {
    Pair pair(TakingFds());
    ASSERT_TRUE(SendWithFiles(*pair.left, 1, 2).ok());
    ASSERT_TRUE(SendWithFiles(*pair.left, 2, 2).ok());
    ExpectNextWithFiles(*pair.right, 1, 2);  // the second one's have come into this process as well
  }
  {
    Pair pair(TakingFds(SmallestThat(WhenFull::kSpill)));
    pair.right.reset();
    SendWithFiles(*pair.left, 1, 2).IgnoreError();
  }
  EXPECT_EQ(OpenDescriptors(), before_);
}

TEST_F(ChannelFds, BeyondWhatThePeerTakesAreRefusedWithItsOption) {
  Pair pair(TakingFds());
  const absl::Status refused = SendWithFiles(*pair.left, 1, kMaxFds + 1);
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_THAT(Text(refused), HasSubstr("max_fds_per_message"));
  ASSERT_TRUE(SendWithFiles(*pair.left, 2, kMaxFds).ok());
  ExpectNextWithFiles(*pair.right, 2, kMaxFds);
}

TEST_F(ChannelFds, AreRefusedByDefault) {
  Pair pair;
  EXPECT_EQ(pair.left->max_fds(), 0);
  EXPECT_TRUE(absl::IsInvalidArgument(SendWithFiles(*pair.left, 1, 1)));
}

TEST_F(ChannelFds, ThatAreNotOpenFailTheirMessageAlone) {
  for (const WhenFull when_full : {WhenFull::kBlock, WhenFull::kSpill}) {
    Pair pair(TakingFds(SmallestThat(when_full)));
    OutgoingMessage message = Numbered(*pair.left, 1);
    const int closed = UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)).get();
    message.SetFds({&closed, 1});
    EXPECT_FALSE(pair.left->Publish(std::move(message)).ok());
    message.SetFds({});
    ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
    ExpectNextWithFiles(*pair.right, 1, 0);
  }
}

TEST_F(ChannelFds, ThatThisProcessCannotHaveHoldTheirMessageUntilItCan) {
  Pair pair(TakingFds());
  ASSERT_TRUE(SendWithFiles(*pair.left, 10, 3).ok());
  ASSERT_TRUE(SendWithFiles(*pair.left, 20, 1).ok());
  {
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    const absl::Status received = pair.right->Receive().status();
    EXPECT_TRUE(absl::IsResourceExhausted(received)) << received;
    EXPECT_THAT(Text(received), HasSubstr("RLIMIT_NOFILE is 3"));
  }
  ExpectNextWithFiles(*pair.right, 10, 3);
  ExpectNextWithFiles(*pair.right, 20, 1);
}

// A channel whose right end knows that a descriptor waits for it, which it cannot have, and whose
// message is not there yet.
struct ShortPair : Pair {
  explicit ShortPair(const ChannelOptions& options = TakingFds()) : Pair(options) {
    capnp::MallocMessageBuilder news;
    news.initRoot<schema::News>().setMessageFds();
    const kj::Array<capnp::word> words = capnp::messageToFlatArray(news);
    const auto bytes = std::as_bytes(std::span(words.begin(), words.size()));
    EXPECT_TRUE(SendPacket(left->socket(), bytes, std::array{STDIN_FILENO}).ok());
    limit.emplace(RLIMIT_NOFILE, 3);
    right->DrainDoorbell();
    EXPECT_TRUE(right->short_of_descriptors());
  }

  std::optional<LoweredLimit> limit;
};

TEST_F(ChannelFds, ThatThisProcessCannotHaveAreToldToAnEventLoopWhichNothingElseWouldWake) {
  ShortPair pair;
  EXPECT_TRUE(absl::IsResourceExhausted(pair.right->TryReceive().status()));
  ASSERT_TRUE(Send(*pair.left, 2).ok());
  ExpectNext(*pair.right, 2);
  EXPECT_TRUE(absl::IsResourceExhausted(pair.right->TryReceive().status()));
  pair.limit.reset();
  EXPECT_TRUE(pair.right->TryReceive().ok());
  EXPECT_FALSE(pair.right->short_of_descriptors());
}

TEST_F(ChannelFds, ThatThisProcessCannotHaveLetWaitsSleepAndEnd) {
  ShortPair pair;
  Channel* const right = pair.right.get();
  const uint64_t parks = right->stats().parks;
  EXPECT_TRUE(absl::IsDeadlineExceeded(right->Receive(absl::Milliseconds(200)).status()));
  EXPECT_LE(right->stats().parks - parks, 21);  // of 10 ms each, but for the last
  EXPECT_TRUE(absl::IsDeadlineExceeded(WaitAny({&right, 1}, absl::Milliseconds(1)).status()));
  std::jthread sender([&] { EXPECT_TRUE(Send(*pair.left, 2).ok()); });
  EXPECT_TRUE(WaitAny({&right, 1}, absl::Seconds(60)).ok());
  ExpectNext(*right, 2);
}

TEST_F(ChannelFds, ThatThisProcessCannotHaveLoseNoWakeUpForRoom) {
  ShortPair pair(TakingFds(Smallest()));
  constexpr uint64_t kMessages = 200;
  std::jthread publisher([&] {
    for (uint64_t i = 0; i < kMessages; ++i) {
      EXPECT_TRUE(pair.right->Publish(Numbered(*pair.right, i), absl::Seconds(60)).ok());
    }
  });
  for (uint64_t i = 0; i < kMessages; ++i) {
    ExpectNext(*pair.left, i);
  }
}

TEST_F(ChannelFds, ThatThisProcessCannotHaveDoNotHideThePeersDeathFromAWait) {
  ShortPair pair;
  std::jthread peer([&] { pair.left->HangUp(); });
  EXPECT_TRUE(absl::IsUnavailable(pair.right->Receive(absl::Seconds(60)).status()));
}

}  // namespace
}  // namespace shoal
