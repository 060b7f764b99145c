#include "shoal/transport/doorbell.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/has_event.h"
#include "shoal/transport/test_doorbell.h"
#include "shoal/transport/test_process.h"

namespace shoal {
namespace {

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

// Several threads of one side

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

}  // namespace
}  // namespace shoal
