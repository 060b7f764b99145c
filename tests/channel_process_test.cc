// A channel between two processes, started with fork and exec, and killed.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/peer_process.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/test_data.capnp.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string Text(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

absl::Status Send(Channel& channel, uint64_t number, size_t bytes) {
  OutgoingMessage message = channel.Claim();
  auto blob = message.InitRoot<test::Blob>();
  blob.setNumber(number);
  auto data = blob.initData(static_cast<capnp::uint>(bytes));
  std::fill(data.begin(), data.end(), static_cast<uint8_t>(number));
  return channel.Publish(std::move(message));
}

void ExpectNext(Channel& channel, uint64_t number, size_t bytes) {
  auto message = channel.Receive();
  ASSERT_TRUE(message.ok()) << message.status();
  const auto blob = message->Root<test::Blob>();
  ASSERT_EQ(blob.getNumber(), number);
  const auto data = blob.getData();
  ASSERT_EQ(data.size(), bytes);
  ASSERT_EQ(std::count(data.begin(), data.end(), static_cast<uint8_t>(number)), bytes);
}

TEST(ChannelProcess, SendsMessagesOfEachSizeThereAndBack) {
  PeerProcess peer("echo");
  for (const size_t bytes : {0u, 1u, 200u, 248u, 1000u, 65536u, 1u << 20, 9u << 20}) {
    for (uint64_t i = 0; i < 4; ++i) {
      ASSERT_TRUE(Send(*peer.channel, i, bytes).ok());
      ExpectNext(*peer.channel, i, bytes);
    }
  }
}

TEST(ChannelProcess, SleepsAndIsWokenAcrossProcesses) {
  ChannelOptions options;
  options.spin = absl::ZeroDuration();
  PeerProcess peer("echo", options);
  for (uint64_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(Send(*peer.channel, i, 8).ok());
    ExpectNext(*peer.channel, i, 8);
  }
  EXPECT_GT(peer.channel->stats().parks, 0);
}

TEST(ChannelProcess, ReusesBlocksOnlyWhenThePeerHasReleasedThem) {
  ChannelOptions options;
  options.slab_bytes = 8 << 20;
  options.max_slabs_bytes = options.slab_bytes;
  PeerProcess peer("hold", options);
  for (uint64_t i = 0; i < 200; ++i) {
    ASSERT_TRUE(Send(*peer.channel, i, 100000).ok());
  }
  for (uint64_t i = 0; i < 200; ++i) {
    ASSERT_EQ(peer.process.ReadLine(), "held");
  }
  // 8 MiB hold 83 of these, and not one came back.
  EXPECT_GT(peer.channel->stats().blocks_lent, 75);
  EXPECT_GT(peer.channel->stats().words_copied_out, 0);
}

TEST(ChannelProcess, IsObservedByAThirdProcess) {
  PeerProcess peer("echo");
  for (uint64_t i = 0; i < 31; ++i) {
    ASSERT_TRUE(Send(*peer.channel, i, 1000).ok());
    ExpectNext(*peer.channel, i, 1000);
  }
  const auto seen = ObserveChannels(peer.process.pid());
  ASSERT_TRUE(seen.ok()) << seen.status();
  ASSERT_EQ(seen->size(), 1);
  EXPECT_EQ((*seen)[0].peer_pid, getpid());
  EXPECT_EQ((*seen)[0].stats.messages_received, 31);
  EXPECT_GE((*seen)[0].stats.messages_sent, 30) << "the last may be here before it is counted";
  EXPECT_EQ((*seen)[0].stats.bytes_received, peer.channel->stats().bytes_sent);
}

TEST(ChannelProcess, EndsInPeaceWhenTheClientDropsTheChannel) {
  PeerProcess peer("echo");
  ASSERT_TRUE(Send(*peer.channel, 1, 8).ok());
  ExpectNext(*peer.channel, 1, 8);
  peer.channel.reset();
  EXPECT_EQ(peer.process.Wait(), 0);
}

TEST(ChannelProcess, DeliversWhatThePeerPublishedBeforeItWasKilled) {
  PeerProcess peer("publish");
  ASSERT_EQ(peer.process.ReadLine(), "published");
  const pid_t pid = peer.process.pid();
  peer.process.Kill();
  for (uint64_t i = 0; i < 100; ++i) {
    auto message = peer.channel->Receive();
    ASSERT_TRUE(message.ok()) << message.status();
    ASSERT_EQ(message->Root<test::Blob>().getNumber(), i);
    ASSERT_EQ(message->Root<test::Blob>().getData().size(), i * 1000);
  }
  const absl::Status gone = peer.channel->Receive().status();
  EXPECT_TRUE(absl::IsUnavailable(gone));
  EXPECT_THAT(Text(gone), AllOf(HasSubstr(peer.address.text()), HasSubstr(std::to_string(pid))));
  EXPECT_FALSE(peer.channel->ended_by_peer());
}

TEST(ChannelProcess, EndsAWaitForRoomWhenThePeerIsKilled) {
  PeerProcess peer("publish");  // it reads nothing
  ASSERT_EQ(peer.process.ReadLine(), "published");
  ChannelOptions options;
  for (uint32_t i = 0; i < options.slots; ++i) {
    ASSERT_TRUE(Send(*peer.channel, i, 8).ok());
  }
  peer.process.Signal(SIGKILL);
  EXPECT_TRUE(absl::IsUnavailable(Send(*peer.channel, 0, 8)));
}

TEST(ChannelProcess, EndsAWaitForAnyWhenAPeerIsKilled) {
  for (const absl::Duration spin : {absl::ZeroDuration(), absl::InfiniteDuration()}) {
    ChannelOptions options;
    options.spin = spin;
    PeerProcess living("hold", options);
    PeerProcess killed("hold", options);
    Channel* const channels[] = {living.channel.get(), killed.channel.get()};
    std::thread killer([&] { killed.process.Signal(SIGKILL); });
    const absl::StatusOr<size_t> ready = WaitAny(channels, absl::Hours(1));
    killer.join();
    ASSERT_TRUE(ready.ok()) << ready.status();
    EXPECT_EQ(*ready, 1);
    EXPECT_TRUE(absl::IsUnavailable(killed.channel->Receive().status()));
  }
}

TEST(ChannelProcess, NamesTheServerThatHoldsTheAddress) {
  PeerProcess peer("echo");
  const auto second = Listen(peer.address.text());
  ASSERT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists) << second.status();
  EXPECT_THAT(Text(second.status()),
              AllOf(HasSubstr(peer.address.text()), HasSubstr(std::to_string(peer.process.pid()))));
}

TEST(ChannelProcess, LeavesNoNameInTheFileSystemOrTheKernel) {
  UniqueAddress address("shm");
  {
    ChildProcess process({"tests/channel_process", address.text(), "echo"});
    ASSERT_EQ(process.ReadLine(), "listening");
    ASSERT_TRUE(Connect(address.text()).ok());
  }
  std::ifstream sockets("/proc/net/unix");
  const std::string all((std::istreambuf_iterator<char>(sockets)), {});
  EXPECT_THAT(all, testing::Not(HasSubstr(address.text().substr(sizeof("shm:") - 1))));
}

}  // namespace
}  // namespace shoal
