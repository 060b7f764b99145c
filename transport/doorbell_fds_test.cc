// Doorbells through which descriptors come that this process cannot have.

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <memory>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/doorbell.h"
#include "shoal/transport/test_doorbell.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {
namespace {

const std::array<std::byte, 2> kNews = {std::byte{7}, std::byte{8}};

// So low that this process can open `more` and no other.
LoweredLimit RoomForDescriptors(rlim_t more) {
  const auto lowest_free = static_cast<rlim_t>(UniqueFd(dup(STDIN_FILENO)).get());
  return LoweredLimit(RLIMIT_NOFILE, lowest_free + more);
}

void SendNewsWithFds(Doorbell& doorbell, size_t count) {
  const std::vector<int> fds(count, STDIN_FILENO);
  ASSERT_TRUE(doorbell.SendNews(kNews, fds).ok());
}

void ExpectOneNewsWithFds(Doorbell& doorbell, size_t count) {
  const std::vector<Doorbell::Packet> news = doorbell.TakeNews();
  ASSERT_EQ(news.size(), 1u);
  EXPECT_EQ(news[0].bytes, std::vector<std::byte>(kNews.begin(), kNews.end()));
  EXPECT_EQ(news[0].fds.size(), count);
  EXPECT_FALSE(news[0].too_many_fds);
}

TEST(DoorbellShortOfDescriptors, LeavesNewsInTheSocketUntilItCanHaveAllOfThem) {
  auto [socket, peer] = Sockets();
  Doorbell here(std::move(socket), {.packet = 3});
  Doorbell there(std::move(peer));
  SendNewsWithFds(there, 3);
  const size_t before = OpenDescriptors();
  for (const rlim_t room : {0, 2}) {
    const LoweredLimit limit = RoomForDescriptors(room);
    EXPECT_EQ(here.DrainNow(), Doorbell::Drained::kShortOfFds);
    EXPECT_TRUE(here.short_of_fds());
    EXPECT_TRUE(here.TakeNews().empty());
  }
  EXPECT_EQ(OpenDescriptors(), before);
  EXPECT_EQ(here.rings(), 0u);
  EXPECT_EQ(here.DrainNow(), Doorbell::Drained::kSome);
  EXPECT_FALSE(here.short_of_fds());
  ExpectOneNewsWithFds(here, 3);
  EXPECT_EQ(here.DrainNow(), Doorbell::Drained::kNothing);
}

TEST(DoorbellShortOfDescriptors, TakesWhatIsAheadOfTheNewsAndLaterWhatIsBehind) {
  Connection connection;
  connection.there.Ring();
  SendNewsWithFds(connection.there, 1);
  connection.there.Ring();
  {
    const LoweredLimit limit = RoomForDescriptors(0);
    EXPECT_EQ(connection.here.DrainNow(), Doorbell::Drained::kSome);
    EXPECT_EQ(connection.here.rings(), 1u);
  }
  connection.here.Drain();
  EXPECT_EQ(connection.here.rings(), 3u);
  ExpectOneNewsWithFds(connection.here, 1);
}

TEST(DoorbellShortOfDescriptors, HearsThePeersDeathAndThenStillTheNews) {
  auto [socket, peer] = Sockets();
  Doorbell here(std::move(socket));
  SendNewsWithFds(*std::make_unique<Doorbell>(std::move(peer)), 1);
  {
    const LoweredLimit limit = RoomForDescriptors(0);
    here.Drain();
    EXPECT_TRUE(here.short_of_fds());
    EXPECT_TRUE(here.hung_up());
  }
  here.Drain();
  ExpectOneNewsWithFds(here, 1);
}

TEST(DoorbellShortOfDescriptors, HearsOfAPeerThatDiesDuringTheSleep) {
  auto [socket, peer] = Sockets();
  Doorbell here(std::move(socket));
  auto there = std::make_unique<Doorbell>(std::move(peer));
  SendNewsWithFds(*there, 1);
  const LoweredLimit limit = RoomForDescriptors(0);
  std::jthread sleeper([&] { SleepUntilHungUp(here); });
  there.reset();
  sleeper.join();
  EXPECT_TRUE(here.hung_up());
}

TEST(DoorbellShortOfDescriptors, NapsInsteadOfSleepingAndSoHearsOfThemByItself) {
  Connection connection;
  SendNewsWithFds(connection.there, 1);
  {
    const LoweredLimit limit = RoomForDescriptors(0);
    connection.here.Drain();
    connection.here.Sleep(0, Deadline::After(absl::InfiniteDuration()));
    EXPECT_EQ(connection.here.rings(), 0u);
  }
  connection.here.Sleep(0, Deadline::After(absl::InfiniteDuration()));
  ExpectOneNewsWithFds(connection.here, 1);
}

TEST(DoorbellShortOfDescriptors, LeavesNoDrainWaitingForAThreadThatNaps) {
  Connection connection;
  SendNewsWithFds(connection.there, 1);
  std::jthread sleeper;
  {
    const LoweredLimit limit = RoomForDescriptors(0);
    connection.here.Drain();
    sleeper = std::jthread([&] {
      while (connection.here.rings() == 0) {
        connection.here.Sleep(0, Deadline::After(absl::InfiniteDuration()));
      }
    });
    for (int i = 0; i < 1000; ++i) {
      ASSERT_EQ(connection.here.DrainNow(), Doorbell::Drained::kShortOfFds);
    }
  }
  EXPECT_TRUE(connection.here.DrainNow() == Doorbell::Drained::kSome ||
              connection.here.rings() == 1);
  ExpectOneNewsWithFds(connection.here, 1);
}

TEST(DoorbellShortOfDescriptors, TakesRingsThatHaveSome) {
  Connection connection;
  const std::byte ring{1};
  ASSERT_TRUE(connection.there.SendNews({&ring, 1}, std::array{STDIN_FILENO}).ok());
  const LoweredLimit limit = RoomForDescriptors(0);
  connection.here.Drain();
  EXPECT_EQ(connection.here.rings(), 1u);
  EXPECT_FALSE(connection.here.short_of_fds());
}

TEST(DoorbellShortOfDescriptors, TakesNewsThatIsThrownAwayAnyhow) {
  auto [socket, peer] = Sockets();
  Doorbell here(std::move(socket), {.waiting = 1});
  Doorbell there(std::move(peer));
  SendNewsWithFds(there, 1);
  SendNewsWithFds(there, 1);
  here.Drain();
  ASSERT_TRUE(here.flooded());
  SendNewsWithFds(there, 1);
  const LoweredLimit limit = RoomForDescriptors(0);
  here.Drain();
  EXPECT_EQ(here.rings(), 3u);
  EXPECT_FALSE(here.short_of_fds());
}

TEST(DoorbellShortOfDescriptors, TakesNoRingFromANapperWhenAnotherThreadDrains) {
  Connection connection;
  News news;
  std::jthread sleeper([&](const std::stop_token& s) { Hear(s, connection.here, news); });
  for (int round = 0; round < 100; ++round) {
    SendNewsWithFds(connection.there, 1);
    {
      const LoweredLimit limit = RoomForDescriptors(0);
      connection.here.Drain();
      Tell(connection, news);
    }
    while (!Heard(news)) {
      connection.here.Drain();
    }
    ASSERT_FALSE(news.lost) << "ring " << round << " was drained away from the napper";
    connection.here.TakeNews();
  }
  sleeper.request_stop();
  connection.there.Ring();
}

}  // namespace
}  // namespace shoal
