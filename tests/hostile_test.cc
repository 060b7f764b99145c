// Peers that keep to the layout and to nothing else. What they may not write is in
// //transport:receiver_test, //transport:sender_hostile_test and //tests/fuzz.

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/news.h"
#include "shoal/transport/shm_channel.h"
#include "shoal/transport/shm_listener.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kDeadlineExceeded = absl::StatusCode::kDeadlineExceeded;
constexpr absl::StatusCode kUnavailable = absl::StatusCode::kUnavailable;
constexpr uint64_t kMaxSlabsBytes = 1 << 20;

ChannelOptions VictimsOptions() {
  ChannelOptions options = SmallestThat(WhenFull::kSpill);
  options.max_slabs_bytes = kMaxSlabsBytes;
  return options;
}

// A channel whose peer is the test.
struct Victim {
  LinkPair links = MakeLinkPair(kSmallShape, kMaxSlabsBytes);
  ShmChannel channel{links.left, VictimsOptions()};
  Link& peer = *links.right;
};

TEST(HostilePeer, ThatRingsForEverHoldsUpNoDeadline) {
  Victim victim;
  std::jthread ringer([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      victim.peer.doorbell.Ring();
    }
  });
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(victim.channel.Receive(absl::Milliseconds(5)), Fails(kDeadlineExceeded, ""));
    EXPECT_THAT(victim.channel.TryReceive(), Succeeds());
  }
}

TEST(HostilePeer, ThatNeverReadsItsSocketIsSentWhatNeedsNoSocket) {
  Victim victim;
  for (int i = 0; i < 10'000; ++i) {
    victim.links.left->doorbell.Ring();
  }
  constexpr size_t kBytes = 200'000;  // more than the first slab, and no other can be announced
  ASSERT_THAT(Send(victim.channel, 7, kBytes), Succeeds());
  Receiver receiver(victim.links.right, ChannelOptions::kMaxMessageWords);
  std::optional<IncomingMessage> message = TakeFrom(receiver);
  while (!message) {
    ASSERT_THAT(StatusOf(victim.channel.Flush(absl::ZeroDuration())).code(),
                testing::AnyOf(absl::StatusCode::kOk, kDeadlineExceeded));
    message = TakeFrom(receiver);
  }
  ExpectNumbered(*message, 7, kBytes);
  EXPECT_EQ(victim.links.right->theirs.slabs().count(), 1u);
}

// How a victim's trying to publish into a full ring ended, and the most descriptors it had open.
struct Ended {
  absl::Status status;
  size_t most_descriptors = 0;
};

Ended WaitForRoomAmongDescriptors(Link& peer, ShmChannel& channel) {
  Ended ended;
  for (int i = 0; i < 4000 && (ended.status.ok() || absl::IsDeadlineExceeded(ended.status)); ++i) {
    SendSlabAdded(peer.doorbell, 1, 4096, STDIN_FILENO).IgnoreError();
    ended.status = channel.Publish(Numbered(channel, 1), absl::Milliseconds(1));
    ended.most_descriptors = std::max(ended.most_descriptors, OpenDescriptors());
  }
  return ended;
}

TEST(HostilePeer, ThatSendsDescriptorsToOneWhoOnlyWaitsForRoomIsLeftBeforeTheyAreManyHundreds) {
  LinkPair links = MakeLinkPair(kSmallShape);
  ShmChannel channel(links.left, SmallestThat(WhenFull::kBlock));
  const size_t before = OpenDescriptors();
  const Ended ended = WaitForRoomAmongDescriptors(*links.right, channel);
  EXPECT_THAT(ended.status, Fails(kDataLoss, "descriptors ahead of what they are for"));
  EXPECT_LE(ended.most_descriptors, before + kMaxSlabs + kMaxFds * kMaxFdPacketsOnTheWay);
  EXPECT_EQ(OpenDescriptors(), before);
  EXPECT_TRUE(channel.hung_up());
  EXPECT_THAT(channel.TryReceive(), Fails(kDataLoss, "descriptors ahead of what they are for"));
}

// Leaves a process behind that has the socket of a connection, and no use for it, until this
// process closes `release`. The connection's own process publishes a message and dies.
pid_t ConnectAndLeaveTheSocketToAChild(const std::string& address, int wait_fd, int release_fd) {
  const pid_t peer = fork();
  if (peer != 0) {
    return peer;
  }
  close(release_fd);
  auto channel = Connect(address);
  if (!channel.ok() || !Send(**channel, 1).ok()) {
    _exit(1);
  }
  if (fork() == 0) {
    char byte;
    [[maybe_unused]] const ssize_t ended = read(wait_fd, &byte, 1);
    _exit(0);
  }
  _exit(0);
}

std::string FreshName() { return "shm:test-" + std::to_string(std::random_device()()); }

TEST(HostilePeer, WhoseChildKeepsTheSocketIsGoneAllTheSame) {
  const std::string address = FreshName();
  const auto listener = Listen(address);
  ASSERT_THAT(listener, Succeeds());
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t peer = ConnectAndLeaveTheSocketToAChild(address, ends[0], ends[1]);
  const auto channel = (*listener)->Accept(absl::Seconds(20));
  ASSERT_THAT(channel, Succeeds());
  int status = -1;
  ASSERT_EQ(waitpid(peer, &status, 0), peer);
  ASSERT_EQ(status, 0);
  ExpectNext(**channel, 1);
  EXPECT_THAT((*channel)->Receive(absl::Seconds(20)), Fails(kUnavailable, "is gone"));
  EXPECT_TRUE((*channel)->hung_up());
  close(ends[0]);
  close(ends[1]);
}

// One that says nothing, one that says something else, and one that is a client, in turn.
void ConnectTenThousandTimes(const Address& address) {
  for (int i = 0; i < 10'000; ++i) {
    if (i % 10 == 0) {
      ASSERT_THAT(Connect(address.text(), Smallest()), Succeeds());
      continue;
    }
    absl::StatusOr<UniqueFd> socket = DialOnce(address.socket_name());
    while (absl::IsUnavailable(socket.status())) {  // too many wait already
      std::this_thread::yield();
      socket = DialOnce(address.socket_name());
    }
    ASSERT_THAT(socket, Succeeds());
    if (i % 2 == 0) {
      ASSERT_EQ(send(socket->get(), "GET / HTTP/1.1", 14, MSG_NOSIGNAL), 14);
    }
  }
}

TEST(HostilePeer, ThatConnectsTenThousandTimesIsSurvived) {
  const Address address = Address::Parse(FreshName()).value();
  const auto listener = ShmListener::Listen(address, Smallest());
  ASSERT_THAT(listener, Succeeds());
  const size_t before = OpenDescriptors();
  std::jthread clients([&] { ConnectTenThousandTimes(address); });
  for (int i = 0; i < 1000; ++i) {
    ASSERT_THAT((*listener)->Accept(absl::Seconds(60)), Succeeds()) << "client " << i;
  }
  clients.join();
  EXPECT_THAT((*listener)->Accept(absl::ZeroDuration()), Fails(kDeadlineExceeded, ""));
  EXPECT_EQ(OpenDescriptors(), before);
}

}  // namespace
}  // namespace shoal
