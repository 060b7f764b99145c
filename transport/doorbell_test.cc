#include "shoal/transport/doorbell.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "shoal/tests/child_process.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/has_event.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {
namespace {

// The two ends of a connection.
struct Connection {
  Connection() : Connection(SocketPair()) {}

  Doorbell here;
  Doorbell there;

 private:
  explicit Connection(std::array<int, 2> sockets)
      : here(UniqueFd(sockets[0])), there(UniqueFd(sockets[1])) {}

  static std::array<int, 2> SocketPair() {
    std::array<int, 2> sockets{-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets.data()),
              0);
    return sockets;
  }
};

// A bell whose peer is the bare socket that is returned beside it.
std::pair<UniqueFd, UniqueFd> Sockets() {
  int sockets[2] = {-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets), 0);
  return {UniqueFd(sockets[0]), UniqueFd(sockets[1])};
}

// A lost wake-up shows as a sleep that lasts until here.
Deadline Lost() { return Deadline::After(absl::Seconds(20)); }

// Sleeps until the connection ends; false if that shows only at a deadline.
bool SleepUntilHungUp(Doorbell& doorbell) {
  const Deadline lost = Lost();
  while (!doorbell.hung_up() && !lost.passed()) {
    doorbell.Sleep(doorbell.rings(), lost);
  }
  return doorbell.hung_up();
}

// Ring and drain

TEST(Doorbell, IsReadableOnceThePeerRang) {
  Connection connection;
  EXPECT_FALSE(HasEvent(connection.here.fd()));
  connection.there.Ring();
  EXPECT_TRUE(HasEvent(connection.here.fd()));
  EXPECT_FALSE(HasEvent(connection.there.fd()));
}

TEST(Doorbell, CountsTheRingsThatItDrains) {
  Connection connection;
  connection.there.Ring();
  connection.there.Ring();
  EXPECT_EQ(connection.here.rings(), 0u);
  connection.here.Drain();
  EXPECT_EQ(connection.here.rings(), 2u);
  EXPECT_FALSE(HasEvent(connection.here.fd()));
  EXPECT_FALSE(connection.here.hung_up());
}

TEST(Doorbell, DrainsWithoutWaitingForARing) {
  Connection connection;
  connection.here.Drain();
  EXPECT_EQ(connection.here.rings(), 0u);
  EXPECT_FALSE(connection.here.hung_up());
}

TEST(Doorbell, DrainsABoundedNumberOfRingsAndStaysReadable) {
  Connection connection;
  for (int i = 0; i < 100; ++i) {
    connection.there.Ring();
  }
  connection.here.Drain();
  EXPECT_GT(connection.here.rings(), 0u);
  EXPECT_LT(connection.here.rings(), 100u);
  EXPECT_TRUE(HasEvent(connection.here.fd()));
  connection.here.Drain();
  EXPECT_EQ(connection.here.rings(), 100u);
  EXPECT_FALSE(HasEvent(connection.here.fd()));
}

TEST(Doorbell, ComesBackFromAPeerThatRingsForEver) {
  Connection connection;
  std::jthread ringer([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      connection.there.Ring();
    }
  });
  while (connection.here.rings() < 10'000) {
    connection.here.Sleep(connection.here.rings(), Lost());
  }
}

TEST(Doorbell, RingsAFullSocketWithoutBlocking) {
  Connection connection;
  for (int i = 0; i < 100'000; ++i) {
    connection.there.Ring();
  }
  connection.here.Drain();
  EXPECT_GT(connection.here.rings(), 0u);
  EXPECT_FALSE(connection.there.hung_up());
}

TEST(Doorbell, TakesAPacketOfAnySizeForARing) {
  auto [socket, peer] = Sockets();
  Doorbell doorbell(std::move(socket));
  const std::string packet(1000, 'x');
  ASSERT_EQ(send(peer.get(), packet.data(), packet.size(), 0), 1000);
  doorbell.Drain();
  EXPECT_EQ(doorbell.rings(), 1u);
  EXPECT_FALSE(HasEvent(doorbell.fd()));
}

TEST(Doorbell, KeepsNoDescriptorThatThePeerSendsWithARing) {
  auto [socket, peer] = Sockets();
  Doorbell doorbell(std::move(socket));
  char byte = 0;
  iovec data = {.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  const int sent = peer.get();
  std::memcpy(CMSG_DATA(rights), &sent, sizeof(sent));
  ASSERT_EQ(sendmsg(peer.get(), &message, 0), 1);
  const size_t open = OpenDescriptors();
  doorbell.Drain();
  EXPECT_EQ(doorbell.rings(), 1u);
  EXPECT_EQ(OpenDescriptors(), open);
}

// Sleep

TEST(Doorbell, SleepsUntilTheDeadline) {
  Connection connection;
  const Deadline deadline = Deadline::After(absl::Milliseconds(1));
  while (!deadline.passed()) {
    connection.here.Sleep(0, deadline);
  }
  EXPECT_EQ(connection.here.rings(), 0u);
}

TEST(Doorbell, DoesNotSleepWhenTheDeadlineHasPassed) {
  Connection connection;
  connection.here.Sleep(0, Deadline::After(absl::ZeroDuration()));
  EXPECT_EQ(connection.here.rings(), 0u);
}

TEST(Doorbell, DoesNotSleepWhenItWasRung) {
  Connection connection;
  connection.there.Ring();
  connection.here.Sleep(0, Deadline::After(absl::InfiniteDuration()));
  EXPECT_EQ(connection.here.rings(), 1u);
}

TEST(Doorbell, DoesNotSleepWhenARingWasDrainedSinceItWasLookedAt) {
  Connection connection;
  const uint64_t seen = connection.here.rings();
  connection.there.Ring();
  connection.here.Drain();
  connection.here.Sleep(seen, Deadline::After(absl::InfiniteDuration()));
  EXPECT_EQ(connection.here.rings(), seen + 1);
}

TEST(Doorbell, WakesASleeperInAnotherThread) {
  Connection connection;
  std::atomic<uint64_t> rings = 0;
  std::jthread sleeper([&] {
    const Deadline lost = Lost();
    while (connection.here.rings() == 0 && !lost.passed()) {
      connection.here.Sleep(0, lost);
    }
    rings = connection.here.rings();
  });
  connection.there.Ring();
  sleeper.join();
  EXPECT_EQ(rings, 1u);
}

// News whose descriptors this process cannot have

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

// Several threads of one side

// What one thread waits for.
struct News {
  std::atomic<uint64_t> told = 0;
  std::atomic<uint64_t> heard = 0;
  std::atomic<bool> lost = false;
};

// Hears of everything that it is told, asleep in between, as a reader or a writer waits.
void Hear(const std::stop_token& stop, Doorbell& doorbell, News& news) {
  while (!stop.stop_requested()) {
    const Deadline lost = Lost();
    const auto came = [&] {
      return news.told.load(std::memory_order_seq_cst) > news.heard || stop.stop_requested();
    };
    while (!came()) {
      const uint64_t rings = doorbell.rings();
      if (!came()) {
        doorbell.Sleep(rings, lost);
      }
      if (lost.passed()) {
        news.lost = true;
        return;
      }
    }
    news.heard.store(news.told.load(std::memory_order_seq_cst), std::memory_order_release);
  }
}

// Tells one thing and rings once for it.
void Tell(Connection& connection, News& news) {
  news.told.fetch_add(1, std::memory_order_seq_cst);
  connection.there.Ring();
}

bool Heard(const News& news) {
  return news.heard.load(std::memory_order_acquire) == news.told || news.lost;
}

TEST(Doorbell, WakesBothOfTwoSleepers) {
  Connection connection;
  News news[2];
  std::jthread reader([&](const std::stop_token& s) { Hear(s, connection.here, news[0]); });
  std::jthread writer([&](const std::stop_token& s) { Hear(s, connection.here, news[1]); });
  for (int round = 0; round < 5'000; ++round) {
    News& one = news[round * 7 / 3 % 2];
    Tell(connection, one);
    while (!Heard(one)) {
      std::this_thread::yield();
    }
    ASSERT_FALSE(one.lost) << "one sleeper took the other's ring " << round;
  }
  reader.request_stop();
  writer.request_stop();
  connection.there.Ring();
}

TEST(Doorbell, TakesNoRingFromASleeperWhenAnotherThreadDrains) {
  Connection connection;
  News news;
  std::jthread sleeper([&](const std::stop_token& s) { Hear(s, connection.here, news); });
  for (int round = 0; round < 5'000; ++round) {
    Tell(connection, news);
    while (!Heard(news)) {
      connection.here.Drain();
      std::this_thread::yield();  // or the sleeper may have to wait for this thread's CPU each time
    }
    ASSERT_FALSE(news.lost) << "ring " << round << " was drained away from the sleeper";
  }
  sleeper.request_stop();
  connection.there.Ring();
}

TEST(Doorbell, TakesNoRingFromANapperWhenAnotherThreadDrains) {
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

// Hang-up

TEST(Doorbell, HearsThePeersDeath) {
  auto [socket, peer] = Sockets();
  Doorbell doorbell(std::move(socket));
  { const UniqueFd dies = std::move(peer); }
  EXPECT_TRUE(HasEvent(doorbell.fd()));
  EXPECT_FALSE(doorbell.hung_up());
  doorbell.Drain();
  EXPECT_TRUE(doorbell.hung_up());
  EXPECT_EQ(doorbell.rings(), 0u);
}

Peer PeerOf(const ChildProcess& process) {
  return {.address = "shm:peer", .pid = process.pid(), .uid = getuid()};
}

// A bell whose peer is another process, with the peer's socket, which a child of it might have.
struct BellOfAnother {
  BellOfAnother() : BellOfAnother(Sockets()) {}

  ChildProcess peer{{"/bin/sleep", "infinity"}};
  UniqueFd socket_of_child;
  Doorbell doorbell;

 private:
  explicit BellOfAnother(std::pair<UniqueFd, UniqueFd> sockets)
      : socket_of_child(std::move(sockets.second)),
        doorbell(std::move(sockets.first), {}, PeerWatch::Create(PeerOf(peer)).value()) {}
};

TEST(Doorbell, HearsThePeersDeathWhileAChildOfItHasTheSocket) {
  BellOfAnother bell;
  EXPECT_FALSE(HasEvent(bell.doorbell.fd()));
  bell.peer.Kill();
  EXPECT_TRUE(HasEvent(bell.doorbell.fd()));
  EXPECT_TRUE(HasEvent(bell.doorbell.fds().second));
  bell.doorbell.Drain();
  EXPECT_TRUE(bell.doorbell.hung_up());
}

TEST(Doorbell, HearsThePeersDeathWithTheRingsBeforeIt) {
  BellOfAnother bell;
  ASSERT_EQ(send(bell.socket_of_child.get(), "!", 1, 0), 1);
  EXPECT_TRUE(HasEvent(bell.doorbell.fd()));
  bell.peer.Kill();
  bell.doorbell.Drain();
  EXPECT_EQ(bell.doorbell.rings(), 1u);
  EXPECT_TRUE(bell.doorbell.hung_up());
}

TEST(Doorbell, WakesASleeperAtThePeersDeathWhileAChildOfItHasTheSocket) {
  BellOfAnother bell;
  std::jthread killer([&] { bell.peer.Kill(); });
  EXPECT_TRUE(SleepUntilHungUp(bell.doorbell));
}

TEST(Doorbell, IsItsSocketAloneWhereThereIsNoDescriptorForMore) {
  BellOfAnother one;
  {
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    EXPECT_EQ(one.doorbell.fd(), one.doorbell.socket());
  }
  EXPECT_EQ(one.doorbell.fd(), one.doorbell.socket()) << "an event loop would lose it";
  BellOfAnother other;
  EXPECT_NE(other.doorbell.fd(), other.doorbell.socket());
}

TEST(Doorbell, HearsThePeersDeathBehindItsLastRings) {
  auto [socket, peer] = Sockets();
  Doorbell doorbell(std::move(socket));
  { Doorbell(std::move(peer)).Ring(); }
  doorbell.Drain();
  EXPECT_EQ(doorbell.rings(), 1u);
  EXPECT_TRUE(doorbell.hung_up());
}

TEST(Doorbell, HearsTheDeathOfAPeerThatDidNotReadItsRings) {
  auto [socket, peer] = Sockets();
  Doorbell doorbell(std::move(socket));
  doorbell.Ring();
  { Doorbell(std::move(peer)).Ring(); }
  doorbell.Drain();
  EXPECT_EQ(doorbell.rings(), 1u);
  EXPECT_TRUE(doorbell.hung_up());
}

TEST(Doorbell, RingsADeadPeerInVain) {
  auto [socket, peer] = Sockets();
  Doorbell doorbell(std::move(socket));
  { const UniqueFd dies = std::move(peer); }
  doorbell.Ring();
  doorbell.Ring();
  doorbell.Drain();
  EXPECT_TRUE(doorbell.hung_up());
}

TEST(Doorbell, IsHungUpForBothSidesByEither) {
  Connection connection;
  connection.here.HangUp();
  EXPECT_TRUE(connection.here.hung_up());
  connection.there.Drain();
  EXPECT_TRUE(connection.there.hung_up());
}

TEST(Doorbell, KeepsItsDescriptorOpenAfterItHungUp) {
  Connection connection;
  connection.here.HangUp();
  EXPECT_TRUE(HasEvent(connection.here.fd()));
}

TEST(Doorbell, DoesNotSleepOnceItIsHungUp) {
  Connection connection;
  connection.here.HangUp();
  connection.here.Sleep(0, Deadline::After(absl::InfiniteDuration()));
  EXPECT_TRUE(connection.here.hung_up());
}

TEST(Doorbell, EndsAllSleepsWhenThePeerDies) {
  for (int round = 0; round < 500; ++round) {
    auto [socket, peer] = Sockets();
    Doorbell doorbell(std::move(socket));
    std::atomic<int> woken = 0;
    {
      std::jthread one([&] { woken += SleepUntilHungUp(doorbell); });
      std::jthread other([&] { woken += SleepUntilHungUp(doorbell); });
      const UniqueFd dies = std::move(peer);
    }
    ASSERT_EQ(woken, 2) << "round " << round;
  }
}

TEST(Doorbell, EndsAllSleepsWhenThisSideHangsUp) {
  for (int round = 0; round < 500; ++round) {
    Connection connection;
    std::atomic<int> woken = 0;
    {
      std::jthread one([&] { woken += SleepUntilHungUp(connection.here); });
      std::jthread other([&] { woken += SleepUntilHungUp(connection.here); });
      connection.here.HangUp();
    }
    ASSERT_EQ(woken, 2) << "round " << round;
  }
}

}  // namespace
}  // namespace shoal
