#include "shoal/transport/message_limit.h"

#include "gtest/gtest.h"
#include "shoal/transport/options.h"
#include "shoal/transport/trust.h"

namespace shoal {
namespace {

constexpr capnp::ReaderOptions kThousand = {.traversalLimitInWords = 1000, .nestingLimit = 8};
constexpr uint64_t kMost = ChannelOptions::kMaxMessageWords;
constexpr uint64_t kUntrusted = ChannelOptions::kUntrustedMessageWords;

TEST(ReceiveLimit, OfATrustedPeerIsTheProtocolsByDefault) {
  EXPECT_EQ(ReceiveLimit({}, Trust::kPeer).words, kMost);
}

TEST(ReceiveLimit, OfAnyOtherIsCapnProtosByDefault) {
  EXPECT_EQ(ReceiveLimit({}, Trust::kNone).Describe(),
            "ChannelOptions::max_message_words, 8388608");
  EXPECT_EQ(kUntrusted, capnp::ReaderOptions().traversalLimitInWords);
}

TEST(ReceiveLimit, IsWhatTheUserHasChosen) {
  EXPECT_EQ(ReceiveLimit({.max_message_words = kMost}, Trust::kNone).words, kMost);
  EXPECT_EQ(ReceiveLimit({.max_message_words = 10}, Trust::kPeer).words, 10u);
}

TEST(ReceiveLimit, IsTheReadersTraversalLimitIfThatIsLower) {
  const ChannelOptions options = {.max_message_words = 2000, .reader = kThousand};
  EXPECT_EQ(ReceiveLimit(options, Trust::kPeer).Describe(),
            "ReaderOptions::traversalLimitInWords, 1000");
}

TEST(ReceiveLimit, IsRaisedByTheReadersTraversalLimitAlone) {
  const ChannelOptions options = {
      .reader = capnp::ReaderOptions{.traversalLimitInWords = 2 * kUntrusted, .nestingLimit = 64}};
  EXPECT_EQ(ReceiveLimit(options, Trust::kNone).words, 2 * kUntrusted);
}

TEST(ReaderFor, ATrustedPeersMessageHasNoTraversalLimit) {
  EXPECT_EQ(ReaderFor({}, Trust::kPeer).traversalLimitInWords, UINT64_MAX);
}

TEST(ReaderFor, AnyOtherMessageHasALimitThatLetsItBeReadOnce) {
  EXPECT_EQ(ReaderFor({}, Trust::kNone).traversalLimitInWords, kUntrusted);
  EXPECT_EQ(ReaderFor({.max_message_words = 10}, Trust::kNone).traversalLimitInWords, kUntrusted);
  EXPECT_EQ(ReaderFor({.max_message_words = kMost}, Trust::kNone).traversalLimitInWords, kMost);
}

TEST(ReaderFor, AMessageIsReadByTheUsersChoice) {
  const capnp::ReaderOptions reader = ReaderFor({.reader = kThousand}, Trust::kPeer);
  EXPECT_EQ(reader.traversalLimitInWords, 1000u);
  EXPECT_EQ(reader.nestingLimit, 8);
}

}  // namespace
}  // namespace shoal
