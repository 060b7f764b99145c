// What is particular to a channel over a socket. What every channel does is tested in
// tests/conformance.
#include "shoal/transport/socket_channel.h"

#include <sys/epoll.h>
#include <sys/stat.h>

#include <array>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/tests/held_port.h"
#include "shoal/tests/scratch_folder.h"
#include "shoal/transport/has_event.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_socket.h"

namespace shoal {
namespace {

using testing::HasSubstr;

ChannelOptions That(WhenFull when_full) {
  ChannelOptions options;
  options.when_full = when_full;
  return options;
}

void Write(const UniqueFd& socket, const std::vector<uint32_t>& words) {
  const size_t bytes = words.size() * sizeof(uint32_t);
  ASSERT_EQ(write(socket.get(), words.data(), bytes), static_cast<ssize_t>(bytes));
}

// Reads all that comes until `bytes` did.
void Read(const UniqueFd& socket, size_t bytes) {
  std::vector<char> buffer(1 << 20);
  while (bytes > 0) {
    const ssize_t got = read(socket.get(), buffer.data(), std::min(buffer.size(), bytes));
    ASSERT_GT(got, 0);
    bytes -= static_cast<size_t>(got);
  }
}

void ReadAllThatIsThere(const UniqueFd& socket) {
  std::vector<char> buffer(1 << 20);
  while (recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) {
  }
}

// Listens at `address`, connects, and returns both ends.
Pair Connected(const std::string& address) {
  auto listener = Listen(address);
  EXPECT_TRUE(listener.ok()) << listener.status();
  Pair pair;
  pair.left = *Connect((*listener)->address());
  pair.right = *(*listener)->Accept();
  return pair;
}

TEST(SocketChannel, ConnectsOverTcpAndNamesThePortThatTheSystemChose) {
  for (const char* address : {"127.0.0.1:0", "[::1]:0", "localhost:0"}) {
    Pair pair = Connected(address);
    ASSERT_TRUE(Send(*pair.left, 1, 100000).ok()) << address;
    ExpectNext(*pair.right, 1, 100000);
    EXPECT_THAT(pair.left->peer().address, testing::Not(HasSubstr(":0 ")));
  }
}

TEST(SocketChannel, ListensOnAllAddressesOfTheMachine) {
  auto listener = Listen("*:0");
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string& text = (*listener)->address();
  const std::string port = text.substr(text.rfind(':'));
  for (const char* host : {"127.0.0.1", "[::1]"}) {
    EXPECT_TRUE(Connect(host + port).ok()) << host << port;
  }
}

TEST(SocketChannel, ConnectsOverAUnixSocketAndKnowsThePeersProcess) {
  ScratchFolder folder;
  Pair pair = Connected("unix:" + folder.path() + "/socket");
  EXPECT_EQ(pair.left->peer().pid, getpid());
  EXPECT_EQ(pair.right->peer().uid, getuid());
  ASSERT_TRUE(Send(*pair.right, 1, 100000).ok());
  ExpectNext(*pair.left, 1, 100000);
}

TEST(SocketChannel, ReclaimsAStaleSocketFileAndRefusesALiveOne) {
  ScratchFolder folder;
  const std::string address = "unix:" + folder.path() + "/socket";
  ASSERT_TRUE(Listen(address).ok());  // and gone again
  const auto live = Listen(address);
  ASSERT_TRUE(live.ok()) << live.status();
  const auto second = Listen(address);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists) << second.status();
  EXPECT_THAT(Text(second.status()), HasSubstr(std::to_string(getpid())));
}

TEST(SocketChannel, RefusesAPortThatIsServed) {
  const auto live = Listen("127.0.0.1:0");
  ASSERT_TRUE(live.ok()) << live.status();
  EXPECT_EQ(Listen((*live)->address()).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST(SocketChannel, SaysThatNobodyListens) {
  ChannelOptions options;
  options.connect_timeout = absl::ZeroDuration();
  const HeldPort port;
  const absl::Status refused = Connect(port.address(), options).status();
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_THAT(Text(refused), HasSubstr(port.address()));
}

TEST(SocketChannel, WaitsForAServerThatIsNotThereYet) {
  ScratchFolder folder;
  const std::string address = "unix:" + folder.path() + "/socket";
  std::thread client([&] { EXPECT_TRUE(Connect(address).ok()); });
  const auto listener = Listen(address);
  EXPECT_TRUE((*listener)->Accept().ok());
  client.join();
}

TEST(SocketChannel, SaysThatASocketFileIsOfAnotherKind) {
  ScratchFolder folder;
  const auto listener = Listen("shm:" + folder.path() + "/socket");
  ASSERT_TRUE(listener.ok()) << listener.status();
  const absl::Status foreign = Connect("unix:" + folder.path() + "/socket").status();
  EXPECT_TRUE(absl::IsInvalidArgument(foreign)) << foreign;
  EXPECT_THAT(Text(foreign), HasSubstr("shm:"));
}

TEST(SocketChannel, KeepsTheRestOfAMessageThatWentInPartAtTheDeadline) {
  ChannelAndSocket ends;
  OutgoingMessage large = Numbered(*ends.channel, 1, 50 << 20);
  const uint64_t bytes = large.SizeInWords() * 8;
  ASSERT_TRUE(ends.channel->Publish(std::move(large), absl::Milliseconds(1)).ok());
  EXPECT_FALSE(large.has_value());
  EXPECT_EQ(ends.channel->pending_messages(), 1);
  EXPECT_GT(ends.channel->pending_bytes(), 10 << 20);
  std::thread reader([&] { Read(ends.socket, bytes); });
  EXPECT_TRUE(ends.channel->Flush(absl::InfiniteDuration()).ok());
  EXPECT_EQ(ends.channel->pending_bytes(), 0);
  reader.join();
}

TEST(SocketChannel, LeavesAMessageThatHasNotBegunAtTheDeadline) {
  ChannelAndSocket ends;
  ASSERT_TRUE(
      ends.channel->Publish(Numbered(*ends.channel, 1, 50 << 20), absl::ZeroDuration()).ok());
  const uint64_t pending = ends.channel->pending_bytes();
  OutgoingMessage second = Numbered(*ends.channel, 2);
  const absl::Status full = ends.channel->Publish(std::move(second), absl::ZeroDuration());
  EXPECT_TRUE(absl::IsDeadlineExceeded(full)) << full;
  EXPECT_TRUE(second.has_value());
  EXPECT_EQ(ends.channel->pending_bytes(), pending);
}

TEST(SocketChannel, FailsAtOnceWhenToldSo) {
  ChannelAndSocket ends(That(WhenFull::kFail));
  ASSERT_TRUE(ends.channel->Publish(Numbered(*ends.channel, 1, 50 << 20)).ok());
  const absl::Status full = Send(*ends.channel, 2);
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
}

TEST(SocketChannel, SpillsUpToItsLimit) {
  ChannelOptions options = That(WhenFull::kSpill);
  options.max_pending_bytes = 60 << 20;
  ChannelAndSocket ends(options);
  ASSERT_TRUE(Send(*ends.channel, 1, 50 << 20).ok());
  const absl::Status full = Send(*ends.channel, 2, 20 << 20);
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  EXPECT_THAT(Text(full), HasSubstr("max_pending_bytes"));
}

TEST(SocketChannel, TellsAnEndFromABreakInTheMiddleOfAMessage) {
  for (const bool whole : {true, false}) {
    ChannelAndSocket ends;
    Write(ends.socket, {0, 1, 0, 0});
    if (!whole) {
      Write(ends.socket, {0, 1, 0});
    }
    ends.socket = UniqueFd();
    EXPECT_TRUE(ends.channel->Receive().ok());
    EXPECT_TRUE(absl::IsUnavailable(ends.channel->Receive().status()));
    EXPECT_EQ(ends.channel->ended_by_peer(), whole);
  }
}

TEST(SocketChannel, RefusesATableOfTooManySegments) {
  ChannelAndSocket ends;
  Write(ends.socket, {UINT32_MAX, 1});
  const absl::Status corrupt = ends.channel->Receive().status();
  EXPECT_TRUE(absl::IsDataLoss(corrupt)) << corrupt;
  EXPECT_THAT(Text(corrupt), HasSubstr("segment count"));
  EXPECT_EQ(ends.channel->Receive().status(), corrupt) << "and stays so";
}

TEST(SocketChannel, RefusesAMessageAboveTheLimitBeforeItTakesMemory) {
  ChannelOptions options;
  options.max_message_words = 1000;
  ChannelAndSocket ends(options);
  Write(ends.socket, {0, 1001});
  const absl::Status corrupt = ends.channel->Receive().status();
  EXPECT_TRUE(absl::IsDataLoss(corrupt)) << corrupt;
  EXPECT_THAT(Text(corrupt), HasSubstr("max_message_words"));
}

TEST(SocketChannel, TakesAMessageThatComesByteByByte) {
  ChannelAndSocket ends;
  const std::array<uint32_t, 8> words = {0, 3, 0, 1, 42, 0, 7, 0};
  std::thread writer([&] {
    for (const char byte : std::string(reinterpret_cast<const char*>(words.data()), 32)) {
      ASSERT_EQ(write(ends.socket.get(), &byte, 1), 1);
    }
  });
  auto message = ends.channel->Receive();
  writer.join();
  ASSERT_TRUE(message.ok()) << message.status();
  const auto segment = message->reader().getSegment(0);
  ASSERT_EQ(segment.size(), 3);
  EXPECT_EQ(std::memcmp(segment.begin(), &words[2], 24), 0);
}

TEST(SocketChannel, ReceivesWhatCameBeforeSendingFailed) {
  ChannelAndSocket ends;
  Write(ends.socket, {0, 1, 0, 0});
  ends.socket = UniqueFd();
  while (Send(*ends.channel, 1, 100000).ok()) {
  }
  EXPECT_TRUE(absl::IsUnavailable(Send(*ends.channel, 1)));
  EXPECT_TRUE(ends.channel->Receive().ok());
}

TEST(SocketChannel, RingsItsDoorbellForMessagesAndWhileArmedForRoom) {
  ChannelAndSocket ends(That(WhenFull::kSpill));
  EXPECT_TRUE(ends.channel->ArmDoorbell());
  EXPECT_FALSE(HasEvent(ends.channel->doorbell()));
  Write(ends.socket, {0, 1, 0, 0});
  EXPECT_TRUE(HasEvent(ends.channel->doorbell()));
  EXPECT_FALSE(ends.channel->ArmDoorbell());
  ASSERT_TRUE(ends.channel->TryReceive()->has_value());

  ASSERT_TRUE(Send(*ends.channel, 1, 8 << 20).ok());
  ASSERT_GT(ends.channel->pending_bytes(), 0);
  EXPECT_TRUE(ends.channel->ArmDoorbell());
  EXPECT_FALSE(HasEvent(ends.channel->doorbell()));
  ReadAllThatIsThere(ends.socket);
  EXPECT_TRUE(HasEvent(ends.channel->doorbell()));
  ends.channel->DisarmDoorbell();
  EXPECT_FALSE(HasEvent(ends.channel->doorbell()));
}

TEST(SocketChannel, HasNoPlaceForANotice) {
  ChannelAndSocket ends;
  EXPECT_EQ(ends.channel->Notify().code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace shoal
