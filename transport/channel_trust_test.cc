// Who may connect, and how far a peer is trusted.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/test_socket.h"

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

// Stores 7 and 9 in turn in all of the data, until told to stop. That it is read meanwhile is the
// point, and no news for ThreadSanitizer.
__attribute__((no_sanitize("thread"))) void GoOnRewriting(volatile uint8_t* data, size_t bytes,
                                                          const std::stop_token& stop) {
  for (uint8_t value = 7; !stop.stop_requested(); value = 16 - value) {
    for (size_t i = 0; i < bytes; ++i) {
      data[i] = value;
    }
  }
}

// Receives a message that the peer goes on rewriting, and calls `read` with what is in it.
template <typename Read>
void ReadWhileItIsRewritten(Trust trust, Read read) {
  constexpr size_t kBytes = 50000;
  Pair pair(Trusting(trust));
  OutgoingMessage message = Numbered(*pair.left, 7, kBytes);
  OutgoingMessage kept = message.Share();
  auto data = kept.GetRoot<test::Blob>().getData();
  ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
  std::jthread peer(
      [&](const std::stop_token& stop) { GoOnRewriting(data.begin(), kBytes, stop); });
  IncomingMessage received = *pair.right->Receive();
  read(received.Root<test::Blob>().getData());
}

TEST(Trust, InNobodyReadsTheSameAgainAndAgainWhateverThePeerRewritesMeanwhile) {
  for (int i = 0; i < 50; ++i) {
    ReadWhileItIsRewritten(Trust::kNone, [](capnp::Data::Reader data) {
      const std::vector<uint8_t> first(data.begin(), data.end());
      for (int again = 0; again < 20; ++again) {
        EXPECT_TRUE(std::equal(data.begin(), data.end(), first.begin()));
      }
    });
  }
}

// It ends because the attack succeeds.
TEST(Trust, InThePeerReadsAnotherThingOnceThePeerHasRewrittenIt) {
  ReadWhileItIsRewritten(Trust::kPeer, [](capnp::Data::Reader data) {
    const std::vector<uint8_t> first(data.begin(), data.end());
    while (std::equal(data.begin(), data.end(), first.begin())) {
      std::this_thread::yield();
    }
  });
}

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

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
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

// What a third process of the same user could get hold of: the descriptors that this one has open.
std::vector<std::filesystem::path> OpenRegions() {
  std::vector<std::filesystem::path> regions;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry, gone).string().rfind("/memfd:shoal", 0) == 0) {
      regions.push_back(entry);
    }
  }
  return regions;
}

// Whether `text` can be read through a descriptor of this process.
bool CanBeRead(const std::filesystem::path& descriptor, const std::string& text) {
  std::ifstream file(descriptor, std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(file)), {});
  return all.find(text) != std::string::npos;
}

TEST(ThirdProcess, CanReadNoMessageWhateverItsSize) {
  const std::string secret = "the secret that nobody else reads";
  Pair pair;
  for (const size_t bytes : {64u, 10'000u, 100u << 20}) {  // in a slot, a block, and another slab
    OutgoingMessage message = pair.left->Claim();
    auto data = message.InitRoot<test::Blob>().initData(bytes);
    std::copy(secret.begin(), secret.end(), data.begin());
    for (const std::filesystem::path& region : OpenRegions()) {
      EXPECT_FALSE(CanBeRead(region, secret)) << bytes << ", not published yet";
    }
    ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
    for (const std::filesystem::path& region : OpenRegions()) {
      EXPECT_FALSE(CanBeRead(region, secret)) << bytes;
    }
    ASSERT_TRUE(pair.right->Receive().ok());
  }
}

TEST(ThirdProcess, SeesOnlyTheCountersAndCannotWriteThem) {
  Pair pair;
  ASSERT_TRUE(Send(*pair.left, 1, 100 << 20).ok());  // a slab of its own
  ExpectNext(*pair.right, 1, 100 << 20);
  const std::vector<std::filesystem::path> regions = OpenRegions();
  EXPECT_EQ(regions.size(), 2) << "each end's counters, and nothing else";
  for (const std::filesystem::path& region : regions) {
    EXPECT_EQ(std::filesystem::file_size(region), getpagesize());
    const int fd = open(region.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(pwrite(fd, "x", 1, 0), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(ftruncate(fd, 0), -1);
    EXPECT_EQ(errno, EPERM);
    close(fd);
  }
}

TEST(ThirdProcess, HasAChannelOfItsOwnWhenItConnectsToo) {
  const std::string address = "shm:test-" + std::to_string(std::random_device()());
  auto listener = Listen(address);
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::unique_ptr<Channel> second;
  std::thread clients([&] {
    const auto first = Connect(address);
    second = *Connect(address);
    ASSERT_TRUE(Send(**first, 1).ok());
  });
  const auto one = *(*listener)->Accept();
  const auto other = *(*listener)->Accept();
  clients.join();
  ExpectNext(*one, 1);
  EXPECT_FALSE(other->TryReceive()->has_value());
  ASSERT_TRUE(Send(*other, 2).ok());
  ExpectNext(*second, 2);
}

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
  const uint64_t before = MappedSharedMemory().touched_bytes;
  const Pair cold(options);
  EXPECT_LT(MappedSharedMemory().touched_bytes - before, options.slab_bytes);
  options.prefault = true;
  const Pair warm(options);
  EXPECT_GE(MappedSharedMemory().touched_bytes - before, 4 * options.slab_bytes)
      << "two slabs, each mapped twice";
}

}  // namespace
}  // namespace shoal
