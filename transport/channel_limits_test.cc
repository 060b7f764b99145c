// How large messages may be, and how many: whose limit it is that a message meets.

#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_socket.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr size_t kAbove64MiB = (size_t{64} << 20) + 1;

struct UnequalPair {
  UnequalPair(const ChannelOptions& left_options, const ChannelOptions& right_options) {
    auto pair = ChannelPair(left_options, right_options);
    EXPECT_TRUE(pair.ok()) << pair.status();
    left = std::move(pair->first);
    right = std::move(pair->second);
  }

  std::unique_ptr<Channel> left;
  std::unique_ptr<Channel> right;
};

// Publishes a message that is too large for the other end, and expects that nothing else is lost.
std::string Refusal(Channel& from, Channel& to, size_t bytes) {
  OutgoingMessage message = Numbered(from, 1, bytes);
  const absl::Status refused = from.Publish(std::move(message));
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_TRUE(message.has_value());
  EXPECT_TRUE(Send(from, 2).ok());
  ExpectNext(to, 2);
  EXPECT_TRUE(Send(to, 3).ok());
  ExpectNext(from, 3);
  return Text(refused);
}

// ---- sizes ----

TEST(ChannelLimits, RefuseWhatThePeerDoesNotAcceptAndTheConnectionLives) {
  const UnequalPair pair({}, {.max_message_words = 1000});
  EXPECT_THAT(Refusal(*pair.left, *pair.right, 8000),
              AllOf(HasSubstr("is above what that accepts, 1000,"),
                    HasSubstr("its ChannelOptions::max_message_words")));
}

TEST(ChannelLimits, OfAClientHoldForItsServerToo) {
  const UnequalPair pair({.max_message_words = 1000}, {});
  EXPECT_THAT(Refusal(*pair.right, *pair.left, 8000), HasSubstr("what that accepts, 1000,"));
}

TEST(ChannelLimits, TellAReadersTraversalLimitToo) {
  const UnequalPair pair(
      {}, {.reader = capnp::ReaderOptions{.traversalLimitInWords = 500, .nestingLimit = 64}});
  EXPECT_THAT(Refusal(*pair.left, *pair.right, 4000),
              AllOf(HasSubstr("what that accepts, 500,"),
                    HasSubstr("ReaderOptions::traversalLimitInWords")));
}

TEST(ChannelLimits, OfTheSenderAreItsOwn) {
  const UnequalPair pair({.max_message_words = 1000}, {});
  EXPECT_THAT(Refusal(*pair.left, *pair.right, 8000),
              HasSubstr("above ChannelOptions::max_message_words, 1000; raise it on both sides"));
}

TEST(ChannelLimits, LetATrustedPeerSendAnySizeByDefault) {
  Pair pair;
  ASSERT_TRUE(Send(*pair.left, 7, kAbove64MiB).ok());
  ExpectNext(*pair.right, 7, kAbove64MiB);
}

TEST(ChannelLimits, OfAServerThatTrustsNobodyAreSixtyFourMebibytes) {
  const UnequalPair pair({}, {.trust = Trust::kNone});
  EXPECT_THAT(Refusal(*pair.left, *pair.right, kAbove64MiB), HasSubstr("accepts, 8388608,"));
}

TEST(ChannelLimits, OfAServerThatTrustsNobodyAreRaisedByOption) {
  const UnequalPair pair({}, {.trust = Trust::kNone, .max_message_words = 16 << 20});
  ASSERT_TRUE(Send(*pair.left, 7, kAbove64MiB).ok());
  ExpectNext(*pair.right, 7, kAbove64MiB);
}

TEST(ChannelLimits, OverASocketAreSixtyFourMebibytesBothWays) {
  ChannelAndSocket ends;
  EXPECT_THAT(Text(Send(*ends.channel, 1, kAbove64MiB)),
              HasSubstr("above ChannelOptions::max_message_words, 8388608"));
  const uint32_t table[] = {0, (8u << 20) + 1};
  ASSERT_EQ(send(ends.socket.get(), table, sizeof(table), 0), ssize_t{sizeof(table)});
  const absl::Status corrupt = ends.channel->Receive().status();
  EXPECT_TRUE(absl::IsDataLoss(corrupt)) << corrupt;
  EXPECT_THAT(Text(corrupt), HasSubstr("ChannelOptions::max_message_words, 8388608"));
}

// ---- reading ----

// Reads so often that Cap'n Proto's default limit, of 64 MiB in all, and the largest message's size
// are exceeded.
uint64_t ReadingsOf(IncomingMessage& message, size_t bytes) {
  constexpr uint64_t kBeyondAnyMessage = uint64_t{5} << 30;
  uint64_t readings = 0;
  for (uint64_t read = 0; read < kBeyondAnyMessage; read += bytes) {
    if (message.Root<test::Blob>().getData().size() != bytes) {
      return readings;
    }
    ++readings;
  }
  return readings;
}

TEST(ChannelLimits, LetATrustedPeersMessageBeReadWithoutEnd) {
  constexpr size_t kBytes = 32 << 20;
  Pair pair;
  ASSERT_TRUE(Send(*pair.left, 7, kBytes).ok());
  IncomingMessage held = *pair.right->Receive();
  EXPECT_EQ(ReadingsOf(held, kBytes), (uint64_t{5} << 30) / kBytes);
}

TEST(ChannelLimits, BoundWhatReadingAnUntrustedMessageCosts) {
  constexpr size_t kBytes = 32 << 20;
  Pair pair({.trust = Trust::kNone});
  ASSERT_TRUE(Send(*pair.left, 7, kBytes).ok());
  IncomingMessage held = *pair.right->Receive();
  EXPECT_THROW(ReadingsOf(held, kBytes), kj::Exception);
  held.Reopen(capnp::ReaderOptions());
  EXPECT_EQ(held.Root<test::Blob>().getData().size(), kBytes) << "and that begins anew";
}

// ---- how many ----

uint64_t PublishUntilFull(Channel& channel, size_t bytes, uint32_t hint_words) {
  for (uint64_t published = 0;; ++published) {
    OutgoingMessage message = channel.Claim(hint_words);
    message.InitRoot<test::Blob>().initData(static_cast<capnp::uint>(bytes));
    if (!channel.Publish(std::move(message), absl::ZeroDuration()).ok()) {
      return published;
    }
  }
}

TEST(ChannelLimits, AreReachedInTheRingFirstByDefault) {
  for (const uint32_t slots : {64u, 256u, 4096u}) {
    Pair pair({.slots = slots, .when_full = WhenFull::kFail});
    EXPECT_EQ(PublishUntilFull(*pair.left, 2000, 300), slots) << "hinted";
    EXPECT_EQ(pair.left->stats().words_copied_out, 0) << "none went in fragments";
  }
}

TEST(ChannelLimits, OfLoansAreNamedWhenTheyFillTheRing) {
  const UnequalPair pair({.slots = 4096, .when_full = WhenFull::kFail}, {.loans = 1024});
  EXPECT_LT(PublishUntilFull(*pair.left, 2000, 300), 1400);
  EXPECT_THAT(Text(Send(*pair.left, 1)),
              AllOf(HasSubstr("its peer holds 1024 blocks, all that its ChannelOptions::loans"),
                    HasSubstr("raise loans there above 1024")));
}

TEST(ChannelLimits, OfLoansAreNamedAtADeadlineToo) {
  const UnequalPair pair({}, {.loans = 16});
  PublishUntilFull(*pair.left, 2000, 300);
  EXPECT_THAT(Text(pair.left->Publish(Numbered(*pair.left, 1), absl::ZeroDuration())),
              AllOf(HasSubstr("was still full of messages in fragments"),
                    HasSubstr("raise loans there above 16")));
}

TEST(ChannelLimits, OfMemoryAreNamedWhenTheyFillTheRing) {
  ChannelOptions options = SmallestThat(WhenFull::kFail);
  options.loans = 1024;
  options.slots = 256;
  Pair pair(options);
  PublishUntilFull(*pair.left, 8000, 1100);
  EXPECT_THAT(Text(Send(*pair.left, 1)),
              AllOf(HasSubstr("65536 bytes of blocks are in use, of 65536"),
                    HasSubstr("ChannelOptions::max_slabs_bytes")));
}

TEST(ChannelLimits, OfSlotsAreNamedAgainOnceTheFragmentsAreRead) {
  const UnequalPair pair({.slots = 16, .when_full = WhenFull::kFail}, {.loans = 16});
  std::vector<IncomingMessage> held;
  for (int i = 0; i < 16; ++i) {
    ASSERT_TRUE(Send(*pair.left, 7, 1000).ok());
    held.push_back(*pair.right->Receive());
  }
  ASSERT_TRUE(Send(*pair.left, 7, 1000).ok());
  ExpectNext(*pair.right, 7, 1000);  // in fragments
  Fill(*pair.left);
  EXPECT_THAT(Text(Send(*pair.left, 1)), HasSubstr("raise ChannelOptions::slots above 16"));
}

}  // namespace
}  // namespace shoal
