// Who may connect, and how far a peer is trusted.

#include <sys/resource.h>
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

// How many pages of this process have been mapped so far without a look at a disk.
uint64_t MinorFaults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_minflt);
}

TEST(Prefault, LeavesNoPageOfTheFirstSlabToBeMappedLater) {
  ChannelOptions options;
  options.prefault = true;
  Pair pair(options);
  const uint64_t before = MinorFaults();
  ASSERT_TRUE(Send(*pair.left, 1, 4 << 20).ok());
  ExpectNext(*pair.right, 1, 4 << 20);
  EXPECT_LT(MinorFaults() - before, 200) << "4 MiB are 1024 pages on each side";
}

}  // namespace
}  // namespace shoal
