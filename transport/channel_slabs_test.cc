// Messages beyond the first slab: how an outbox grows, and shrinks again.

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_process.h"

namespace shoal {
namespace {

ChannelOptions SmallSlabs() {
  ChannelOptions options = Smallest();
  options.max_slabs_bytes = 64 << 20;
  options.loans = 1024;
  options.slots = 1024;
  return options;
}

TEST(ChannelSlabs, ReadInPlaceAMessageOfFourHundredMebibytes) {
  Pair pair;
  constexpr size_t kBytes = size_t{400} << 20;
  OutgoingMessage message = pair.left->Claim();
  auto data = message.InitRoot<test::Blob>().initData(kBytes);
  data[0] = 1;
  data[kBytes - 1] = 2;
  ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
  auto received = pair.right->Receive();
  ASSERT_TRUE(received.ok()) << received.status();
  const auto seen = received->Root<test::Blob>().getData();
  ASSERT_EQ(seen.size(), kBytes);
  EXPECT_EQ(seen[0], 1);
  EXPECT_EQ(seen[kBytes - 1], 2);
  EXPECT_EQ(pair.left->stats().words_copied_out, 0);
  EXPECT_EQ(pair.right->stats().words_copied_in, 0);
}

TEST(ChannelSlabs, AreAddedForWhatThePeerHolds) {
  Pair pair(SmallSlabs());
  std::vector<IncomingMessage> held;
  for (uint64_t i = 0; i < 500; ++i) {
    ASSERT_TRUE(Send(*pair.left, i, 20000).ok());
    held.push_back(*pair.right->Receive());
  }
  EXPECT_GT(pair.left->stats().slabs, 10);
  EXPECT_EQ(pair.left->stats().words_copied_out, 0);
  for (uint64_t i = 0; i < 500; ++i) {
    ExpectNumbered(held[i], i, 20000);
  }
}

TEST(ChannelSlabs, ServeManyMoreMessagesThanTheyHoldWhenTheyComeBack) {
  Pair pair(SmallSlabs());
  for (uint64_t i = 0; i < 5000; ++i) {
    ASSERT_TRUE(Send(*pair.left, i, i % 50000).ok());
    ExpectNext(*pair.right, i, i % 50000);
  }
  EXPECT_LE(pair.left->stats().slabs, 3);
}

TEST(ChannelSlabs, AreDroppedWhenTheyAreIdleAndUsedAnewLater) {
  ChannelOptions options = SmallSlabs();
  options.slab_idle_time = absl::ZeroDuration();
  Pair pair(options);
  // There are numbers for 256 slabs at a time.
  for (uint64_t i = 0; i < 600; ++i) {
    ASSERT_TRUE(Send(*pair.left, i, 300000).ok());
    ExpectNext(*pair.right, i, 300000);
    pair.left->Trim();
    ASSERT_EQ(pair.left->stats().slabs, 1);
  }
  EXPECT_EQ(pair.left->stats().words_copied_out, 0);
}

TEST(ChannelSlabs, StayWithinTheSmallerLimitOfBothSides) {
  ChannelOptions little = SmallSlabs();
  little.max_peer_slabs_bytes = ChannelOptions::kMinSlabBytes * 4;
  Pair pair(little);
  for (uint64_t i = 0; i < 8; ++i) {
    ASSERT_TRUE(Send(*pair.left, i, 50000).ok());
  }
  EXPECT_LE(pair.left->stats().slabs_bytes, little.max_peer_slabs_bytes);
  EXPECT_GT(pair.left->stats().words_copied_out, 0) << "the rest went in fragments";
  for (uint64_t i = 0; i < 8; ++i) {
    ExpectNext(*pair.right, i, 50000);
  }
}

TEST(ChannelSlabs, GoBackToTheSystemWhileBothSidesWait) {
  ChannelOptions options;
  options.slab_idle_time = absl::Milliseconds(20);
  Pair pair(options);
  const uint64_t base = MappedSharedMemory().touched_bytes;
  {
    ASSERT_TRUE(Send(*pair.left, 1, 100 << 20).ok());
    ExpectNext(*pair.right, 1, 100 << 20);
  }
  ASSERT_GT(MappedSharedMemory().touched_bytes, base + (100 << 20));
  // Neither side calls anything but Receive from here on.
  std::thread right([&] { ExpectNext(*pair.right, 2); });
  std::thread left([&] { ExpectNext(*pair.left, 3); });
  const absl::Time lost = absl::Now() + absl::Seconds(60);
  while (MappedSharedMemory().touched_bytes > base + (1 << 20) && absl::Now() < lost) {
    std::this_thread::yield();
  }
  EXPECT_LE(MappedSharedMemory().touched_bytes, base + (1 << 20));
  ASSERT_TRUE(Send(*pair.left, 2).ok());
  ASSERT_TRUE(Send(*pair.right, 3).ok());
  left.join();
  right.join();
  EXPECT_EQ(pair.left->stats().slabs, 1);
}

TEST(ChannelSlabs, AreNotLostByAReaderWhoseOtherThreadSleeps) {
  ChannelOptions options = SmallSlabs();
  options.spin = absl::ZeroDuration();
  options.slab_idle_time = absl::ZeroDuration();
  Pair pair(options);
  // The right side's publisher waits for room, and drains the socket, while its reader meets slabs
  // that it does not know.
  std::thread publisher([&] {
    for (uint64_t i = 0; i < 3000; ++i) {
      ASSERT_TRUE(Send(*pair.right, i).ok());
    }
  });
  std::thread reader([&] {
    for (uint64_t i = 0; i < 1000; ++i) {
      ExpectNext(*pair.right, i, 100000);
    }
  });
  for (uint64_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(Send(*pair.left, i, 100000).ok());
    for (uint64_t j = 0; j < 3; ++j) {
      ExpectNext(*pair.left, 3 * i + j);
    }
  }
  publisher.join();
  reader.join();
}

uint64_t FreeHugePages() {
  std::ifstream info("/proc/meminfo");
  std::string field;
  uint64_t pages = 0;
  while (info >> field && field != "HugePages_Free:") {
  }
  info >> pages;
  return pages;
}

TEST(ChannelSlabs, LieInHugePagesWhereTheSystemHasSomeAndSaySo) {
  ChannelOptions options;
  options.huge_pages = true;
  options.slab_bytes = 8 << 20;
  constexpr uint64_t kPagesOfBoth = 8;
  const bool enough = FreeHugePages() >= kPagesOfBoth;
  Pair pair(options);
  EXPECT_EQ(pair.left->stats().huge_page_bytes, enough ? options.slab_bytes : 0);
  ASSERT_TRUE(Send(*pair.left, 1, 1 << 20).ok());
  ExpectNext(*pair.right, 1, 1 << 20);
}

TEST(ChannelSlabs, TakeClaimsThatArePublishedInAnotherOrder) {
  Pair pair;
  std::vector<OutgoingMessage> claims;
  for (uint64_t i = 0; i < 5000; ++i) {
    claims.push_back(Numbered(*pair.left, i, 500));
  }
  while (!claims.empty()) {
    const absl::Status published = pair.left->Publish(std::move(claims.back()));
    ASSERT_TRUE(published.ok()) << published;
    claims.pop_back();
    ExpectNext(*pair.right, claims.size(), 500);
    ASSERT_FALSE(HasFailure()) << claims.size();
  }
}

}  // namespace
}  // namespace shoal
