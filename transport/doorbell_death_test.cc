// Doorbells whose peer dies, or hangs up.

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "shoal/tests/child_process.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/doorbell.h"
#include "shoal/transport/has_event.h"
#include "shoal/transport/peer.h"
#include "shoal/transport/peer_watch.h"
#include "shoal/transport/test_doorbell.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {
namespace {

TEST(DoorbellDeath, HearsThePeersDeath) {
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

TEST(DoorbellDeath, HearsThePeersDeathWhileAChildOfItHasTheSocket) {
  BellOfAnother bell;
  EXPECT_FALSE(HasEvent(bell.doorbell.fd()));
  bell.peer.Kill();
  EXPECT_TRUE(HasEvent(bell.doorbell.fd()));
  EXPECT_TRUE(HasEvent(bell.doorbell.fds().second));
  bell.doorbell.Drain();
  EXPECT_TRUE(bell.doorbell.hung_up());
}

TEST(DoorbellDeath, HearsThePeersDeathWithTheRingsBeforeIt) {
  BellOfAnother bell;
  ASSERT_EQ(send(bell.socket_of_child.get(), "!", 1, 0), 1);
  EXPECT_TRUE(HasEvent(bell.doorbell.fd()));
  bell.peer.Kill();
  bell.doorbell.Drain();
  EXPECT_EQ(bell.doorbell.rings(), 1u);
  EXPECT_TRUE(bell.doorbell.hung_up());
}

TEST(DoorbellDeath, WakesASleeperAtThePeersDeathWhileAChildOfItHasTheSocket) {
  BellOfAnother bell;
  std::jthread killer([&] { bell.peer.Kill(); });
  EXPECT_TRUE(SleepUntilHungUp(bell.doorbell));
}

TEST(DoorbellDeath, IsItsSocketAloneWhereThereIsNoDescriptorForMore) {
  BellOfAnother one;
  {
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    EXPECT_EQ(one.doorbell.fd(), one.doorbell.socket());
  }
  EXPECT_EQ(one.doorbell.fd(), one.doorbell.socket()) << "an event loop would lose it";
  BellOfAnother other;
  EXPECT_NE(other.doorbell.fd(), other.doorbell.socket());
}

TEST(DoorbellDeath, HearsThePeersDeathBehindItsLastRings) {
  auto [socket, peer] = Sockets();
  Doorbell doorbell(std::move(socket));
  { Doorbell(std::move(peer)).Ring(); }
  doorbell.Drain();
  EXPECT_EQ(doorbell.rings(), 1u);
  EXPECT_TRUE(doorbell.hung_up());
}

TEST(DoorbellDeath, HearsTheDeathOfAPeerThatDidNotReadItsRings) {
  auto [socket, peer] = Sockets();
  Doorbell doorbell(std::move(socket));
  doorbell.Ring();
  { Doorbell(std::move(peer)).Ring(); }
  doorbell.Drain();
  EXPECT_EQ(doorbell.rings(), 1u);
  EXPECT_TRUE(doorbell.hung_up());
}

TEST(DoorbellDeath, ShowsToOneThatRingsADeadPeer) {
  auto [socket, peer] = Sockets();
  Doorbell doorbell(std::move(socket));
  { const UniqueFd dies = std::move(peer); }
  EXPECT_FALSE(doorbell.hung_up());
  doorbell.Ring();
  EXPECT_TRUE(doorbell.hung_up());
}

TEST(DoorbellDeath, IsHeardOfBehindMorePacketsThanADrainReads) {
  auto [socket, peer] = Sockets();
  Doorbell doorbell(std::move(socket));
  {
    Doorbell dies(std::move(peer));
    for (int i = 0; i < 100; ++i) {
      dies.Ring();
    }
  }
  doorbell.Drain();  // and an edge-triggered event loop hears no more
  EXPECT_LT(doorbell.rings(), 100u);
  EXPECT_TRUE(doorbell.hung_up());
}

TEST(DoorbellDeath, IsSeenByALookThatReadsNothing) {
  auto [socket, peer] = Sockets();
  Doorbell doorbell(std::move(socket));
  ASSERT_EQ(send(peer.get(), "!", 1, 0), 1);
  doorbell.Look();
  EXPECT_FALSE(doorbell.hung_up());
  { const UniqueFd dies = std::move(peer); }
  doorbell.Look();
  EXPECT_TRUE(doorbell.hung_up());
  EXPECT_EQ(doorbell.rings(), 0u);
  EXPECT_TRUE(HasEvent(doorbell.socket()));
}

TEST(DoorbellDeath, IsSeenByALookWhileAChildOfThePeerHasTheSocket) {
  BellOfAnother bell;
  bell.doorbell.Look();
  EXPECT_FALSE(bell.doorbell.hung_up());
  bell.peer.Kill();
  bell.doorbell.Look();
  EXPECT_TRUE(bell.doorbell.hung_up());
}

TEST(DoorbellDeath, IsHungUpForBothSidesByEither) {
  Connection connection;
  connection.here.HangUp();
  EXPECT_TRUE(connection.here.hung_up());
  connection.there.Drain();
  EXPECT_TRUE(connection.there.hung_up());
}

TEST(DoorbellDeath, KeepsItsDescriptorOpenAfterItHungUp) {
  Connection connection;
  connection.here.HangUp();
  EXPECT_TRUE(HasEvent(connection.here.fd()));
}

TEST(DoorbellDeath, DoesNotSleepOnceItIsHungUp) {
  Connection connection;
  connection.here.HangUp();
  connection.here.Sleep(0, Deadline::After(absl::InfiniteDuration()));
  EXPECT_TRUE(connection.here.hung_up());
}

TEST(DoorbellDeath, EndsAllSleepsWhenThePeerDies) {
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

TEST(DoorbellDeath, EndsAllSleepsWhenThisSideHangsUp) {
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
