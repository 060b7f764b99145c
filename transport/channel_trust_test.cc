// Who may connect, and how far a peer is trusted.

#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/test_channels.h"

namespace shoal {
namespace {

ChannelOptions Trusting(Trust trust) {
  ChannelOptions options;
  options.trust = trust;
  return options;
}

// Builds a message, publishes it, and changes what the peer sees once it has received it.
uint8_t SeenAfterAChange(const ChannelOptions& options) {
  Pair pair(options);
  OutgoingMessage message = Numbered(*pair.left, 7, 10000);
  OutgoingMessage kept = message.Share();
  EXPECT_TRUE(pair.left->Publish(std::move(message)).ok());
  IncomingMessage received = *pair.right->Receive();
  auto data = kept.GetRoot<test::Blob>().getData();
  std::fill(data.begin(), data.end(), uint8_t{9});
  return received.Root<test::Blob>().getData()[5000];
}

TEST(Trust, InThePeerReadsWhatItBuiltWhereItIs) {
  EXPECT_EQ(SeenAfterAChange(Trusting(Trust::kPeer)), 9);
}

TEST(Trust, InNobodyReadsACopyThatThePeerCannotChange) {
  EXPECT_EQ(SeenAfterAChange(Trusting(Trust::kNone)), 7);
}

TEST(Trust, IsInThePeerOfTheSameUserByDefault) { EXPECT_EQ(SeenAfterAChange({}), 9); }

TEST(Trust, InNobodyGivesBlocksBackWhileTheMessageIsHeld) {
  ChannelOptions options = Smallest();
  options.trust = Trust::kNone;
  Pair pair(options);
  std::vector<IncomingMessage> held;
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(Send(*pair.left, i, 30000).ok());
    held.push_back(*pair.right->Receive());
  }
  EXPECT_EQ(pair.left->stats().words_copied_out, 0) << "none went in fragments";
  EXPECT_GT(pair.right->stats().words_copied_in, 100 * 30000 / 8);
  for (uint64_t i = 0; i < 100; ++i) {
    ExpectNumbered(held[i], i, 30000);
  }
}

TEST(Trust, InNobodyCarriesMessagesOfManySegments) {
  Pair pair(Trusting(Trust::kNone));
  OutgoingMessage message = pair.left->Claim();
  auto list = message.InitRoot<test::Blobs>().initBlobs(20);
  for (uint64_t i = 0; i < 20; ++i) {
    list[i].setNumber(i);
    list[i].initData(40000);
  }
  ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
  IncomingMessage received = *pair.right->Receive();
  const auto seen = received.Root<test::Blobs>().getBlobs();
  for (uint64_t i = 0; i < 20; ++i) {
    EXPECT_EQ(seen[i].getNumber(), i);
    EXPECT_EQ(seen[i].getData().size(), 40000);
  }
}

#if defined(__SANITIZE_ADDRESS__)
TEST(ReleasedMessageDeathTest, CannotBeReadInABuildWithAddressSanitizer) {
  for (const size_t bytes : {0u, 10000u, 40u << 20}) {
    for (const Trust trust : {Trust::kPeer, Trust::kNone}) {
      EXPECT_DEATH(
          {
            Pair pair(Trusting(trust));
            Send(*pair.left, 7, bytes).IgnoreError();
            test::Blob::Reader blob;
            { blob = pair.right->Receive()->Root<test::Blob>(); }
            volatile uint64_t seen = blob.getNumber();
            static_cast<void>(seen);
          },
          "AddressSanitizer: use-after-poison|AddressSanitizer: heap-use-after-free");
    }
  }
}
#endif

TEST(HugePages, AreUsedWhereTheSystemHasThemAndSaidNotToBeOtherwise) {
  ChannelOptions options;
  options.huge_pages = true;
  Pair pair(options);
  const ChannelStats stats = pair.left->stats();
  EXPECT_TRUE(stats.huge_page_bytes == 0 || stats.huge_page_bytes == options.slab_bytes);
  ASSERT_TRUE(Send(*pair.left, 1, 1 << 20).ok());
  ExpectNext(*pair.right, 1, 1 << 20);
}

TEST(Prefault, MapsTheFirstSlabOnBothSidesAtOnce) {
  ChannelOptions options;
  const uint64_t before = SharedMemory();
  const Pair cold(options);
  EXPECT_LT(SharedMemory() - before, options.slab_bytes);
  options.prefault = true;
  const Pair warm(options);
  EXPECT_GE(SharedMemory() - before, 4 * options.slab_bytes) << "two slabs, each mapped twice";
}

}  // namespace
}  // namespace shoal
