#include "shoal/transport/news.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "capnp/message.h"
#include "capnp/serialize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/schema/news.capnp.h"
#include "shoal/transport/region.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;

const Peer kPeer = {.address = "shm:test", .pid = 4711};

// The two ends of a connection.
struct Ends {
  Ends() : Ends(SocketPair().value()) {}
  explicit Ends(std::pair<UniqueFd, UniqueFd> sockets)
      : left(std::move(sockets.first)), right(std::move(sockets.second)) {}

  Doorbell left;
  Doorbell right;
};

std::vector<Doorbell::Packet> Hear(Doorbell& doorbell) {
  doorbell.Drain();
  return doorbell.TakeNews();
}

absl::StatusOr<News> HearOne(Doorbell& doorbell) {
  std::vector<Doorbell::Packet> packets = Hear(doorbell);
  EXPECT_EQ(packets.size(), 1u);
  return ParseNews(std::move(packets.at(0)), kPeer);
}

TEST(News, TellsOfASlabWithItsDescriptor) {
  Ends ends;
  Region region = Region::Create(64 << 10).value();
  region.data()[5] = std::byte{42};
  ASSERT_THAT(SendSlabAdded(ends.left, 7, region.size(), region.fd()), Succeeds());
  absl::StatusOr<News> news = HearOne(ends.right);
  ASSERT_THAT(news, Succeeds());
  auto& added = std::get<SlabAdded>(*news);
  EXPECT_EQ(added.number, 7u);
  EXPECT_EQ(added.bytes, region.size());
  const Region seen = Region::Map(std::move(added.fd), added.bytes).value();
  EXPECT_EQ(seen.data()[5], std::byte{42});
}

TEST(News, TellsOfASlabThatIsNoMore) {
  Ends ends;
  ASSERT_THAT(SendSlabDropped(ends.left, 7), Succeeds());
  absl::StatusOr<News> news = HearOne(ends.right);
  ASSERT_THAT(news, Succeeds());
  EXPECT_EQ(std::get<SlabDropped>(*news).number, 7u);
}

TEST(News, ArrivesInOrderAmongRings) {
  Ends ends;
  for (uint32_t i = 0; i < 20; ++i) {
    ends.left.Ring();
    ASSERT_THAT(SendSlabDropped(ends.left, i), Succeeds());
  }
  std::vector<Doorbell::Packet> packets = Hear(ends.right);
  ASSERT_EQ(packets.size(), 20u);
  for (uint32_t i = 0; i < 20; ++i) {
    EXPECT_EQ(std::get<SlabDropped>(*ParseNews(std::move(packets[i]), kPeer)).number, i);
  }
  EXPECT_EQ(ends.right.rings(), 40u);
  EXPECT_TRUE(Hear(ends.right).empty());
}

TEST(News, IsRefusedWhenItIsNoMessage) {
  for (const size_t bytes : {2u, 8u, 64u, 128u}) {
    Ends ends;
    const std::vector<std::byte> nonsense(bytes, std::byte{0xff});
    ASSERT_THAT(ends.left.SendNews(nonsense, {}), Succeeds());
    EXPECT_THAT(HearOne(ends.right), Fails(kDataLoss, "does not understand")) << bytes;
  }
}

TEST(News, IsRefusedWhenItIsLongerThanAny) {
  Ends ends;
  ASSERT_THAT(ends.left.SendNews(std::vector<std::byte>(1000), {}), Succeeds());
  EXPECT_THAT(HearOne(ends.right), Fails(kDataLoss, "does not understand"));
}

TEST(News, IsRefusedWhenItHasNotAsManyDescriptorsAsItMust) {
  Ends ends;
  capnp::MallocMessageBuilder message;
  message.initRoot<schema::News>().initSlabAdded().setNumber(1);
  const auto words = capnp::messageToFlatArray(message);
  const auto* bytes = reinterpret_cast<const std::byte*>(words.begin());
  const std::array<int, 2> fds = {STDIN_FILENO, STDIN_FILENO};
  for (const size_t count : {0u, 2u}) {
    ASSERT_THAT(ends.left.SendNews({bytes, words.size() * 8}, std::span(fds).first(count)),
                Succeeds());
    EXPECT_THAT(HearOne(ends.right), Fails(kDataLoss, "does not understand")) << count;
  }
}

TEST(News, IsRefusedWhenItHasMoreDescriptorsThanThisSideTakes) {
  Ends ends;
  const std::array<int, 2> fds = {STDIN_FILENO, STDIN_FILENO};
  ASSERT_THAT(SendMessageFds(ends.left, fds), Succeeds());
  EXPECT_THAT(HearOne(ends.right), Fails(kDataLoss, "does not understand"));
}

TEST(News, IsKeptOnlySoMuchOfIt) {
  Ends ends;
  for (size_t i = 0; i < Doorbell::kMaxNewsWaiting + 100; ++i) {
    ASSERT_THAT(SendSlabDropped(ends.left, 1), Succeeds());
    ends.right.Drain();
  }
  EXPECT_EQ(ends.right.TakeNews().size(), Doorbell::kMaxNewsWaiting);
}

TEST(News, IsThrownAwayOnceItsDescriptorsAreTooMany) {
  constexpr size_t kMaxWaiting = 10;
  auto [left, right] = SocketPair().value();
  Doorbell sender(std::move(left));
  Doorbell receiver(std::move(right), {.packet = 2, .waiting = kMaxWaiting});
  const std::array<int, 2> fds = {STDIN_FILENO, STDIN_FILENO};
  const size_t before = OpenDescriptors();
  for (size_t i = 0; i < kMaxWaiting / 2; ++i) {
    ASSERT_THAT(SendMessageFds(sender, fds), Succeeds());
  }
  receiver.Drain();
  EXPECT_FALSE(receiver.flooded());
  EXPECT_EQ(OpenDescriptors(), before + kMaxWaiting);
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(SendMessageFds(sender, fds), Succeeds());
  }
  receiver.Drain();
  EXPECT_TRUE(receiver.flooded());
  EXPECT_EQ(receiver.TakeNews().size(), 0u);
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST(News, LeavesRoomForTheDescriptorsOfWhatWasTaken) {
  auto [left, right] = SocketPair().value();
  Doorbell sender(std::move(left));
  Doorbell receiver(std::move(right), {.packet = 1, .waiting = 2});
  for (int i = 0; i < 10; ++i) {
    ASSERT_THAT(SendSlabAdded(sender, 1, 4096, STDIN_FILENO), Succeeds());
    ASSERT_THAT(SendSlabAdded(sender, 2, 4096, STDIN_FILENO), Succeeds());
    EXPECT_EQ(Hear(receiver).size(), 2u);
  }
  EXPECT_FALSE(receiver.flooded());
}

TEST(News, IsHadAtOnceAlsoWhileAnotherThreadSleeps) {
  Ends ends;
  for (uint32_t i = 0; i < 200; ++i) {
    const uint64_t seen = ends.right.rings();
    std::jthread sleeper(
        [&] { ends.right.Sleep(seen, Deadline::After(absl::InfiniteDuration())); });
    ASSERT_THAT(SendSlabDropped(ends.left, i), Succeeds());
    EXPECT_TRUE(ends.right.DrainNow() == Doorbell::Drained::kSome || ends.right.rings() != seen);
    EXPECT_EQ(ends.right.TakeNews().size(), 1u);
    sleeper.join();
  }
}

TEST(News, IsNotWaitedForWhenNoneWasSent) {
  Ends ends;
  std::jthread sleeper([&] { ends.right.Sleep(0, Deadline::After(absl::InfiniteDuration())); });
  EXPECT_EQ(ends.right.DrainNow(), Doorbell::Drained::kNothing);
  ends.left.Ring();
}

}  // namespace
}  // namespace shoal
