#include "shoal/transport/packet.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/test_process.h"

namespace shoal {
namespace {

using ::testing::HasSubstr;

struct Ends {
  UniqueFd left;
  UniqueFd right;
};

Ends Connected() {
  absl::StatusOr<std::pair<UniqueFd, UniqueFd>> pair = SocketPair();
  EXPECT_TRUE(pair.ok()) << pair.status();
  return {std::move(pair->first), std::move(pair->second)};
}

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string Text(const Packet& packet) {
  return std::string(reinterpret_cast<const char*>(packet.bytes.data()), packet.bytes.size());
}

absl::Status Send(const UniqueFd& end, std::string_view text) {
  return SendPacket(end.get(), Bytes(text), {});
}

std::optional<Packet> Receive(const UniqueFd& end) {
  absl::StatusOr<std::optional<Packet>> packet = ReceivePacket(end.get(), 64, 8);
  EXPECT_TRUE(packet.ok()) << packet.status();
  return packet.ok() ? *std::move(packet) : std::nullopt;
}

std::string ReceivedText(const UniqueFd& end) {
  const std::optional<Packet> packet = Receive(end);
  return packet ? Text(*packet) : "nothing";
}

TEST(Packet, KeepsItsBoundaries) {
  const Ends ends = Connected();
  ASSERT_TRUE(Send(ends.left, "one").ok());
  ASSERT_TRUE(Send(ends.left, "three").ok());
  EXPECT_EQ(ReceivedText(ends.right), "one");
  EXPECT_EQ(ReceivedText(ends.right), "three");
}

TEST(Packet, GoesBothWays) {
  const Ends ends = Connected();
  ASSERT_TRUE(Send(ends.left, "ping").ok());
  ASSERT_TRUE(Send(ends.right, "pong").ok());
  EXPECT_EQ(ReceivedText(ends.right), "ping");
  EXPECT_EQ(ReceivedText(ends.left), "pong");
}

TEST(Packet, NamesItsSender) {
  const Ends ends = Connected();
  ASSERT_TRUE(Send(ends.left, "x").ok());
  const std::optional<Packet> packet = Receive(ends.right);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->sender.pid, getpid());
  EXPECT_EQ(packet->sender.uid, getuid());
  EXPECT_EQ(packet->sender.gid, getgid());
}

TEST(Packet, CarriesDescriptorsInTheirOrder) {
  const Ends ends = Connected();
  const Ends first = Connected();
  const Ends second = Connected();
  ASSERT_TRUE(
      SendPacket(ends.left.get(), Bytes("x"), std::array{first.left.get(), second.left.get()})
          .ok());
  const std::optional<Packet> packet = Receive(ends.right);
  ASSERT_TRUE(packet);
  ASSERT_EQ(packet->fds.size(), 2u);
  EXPECT_EQ(fcntl(packet->fds[0].get(), F_GETFD), FD_CLOEXEC);

  ASSERT_TRUE(Send(packet->fds[0], "over the first").ok());
  ASSERT_TRUE(Send(packet->fds[1], "over the second").ok());
  EXPECT_EQ(ReceivedText(first.right), "over the first");
  EXPECT_EQ(ReceivedText(second.right), "over the second");
}

TEST(Packet, ClosesItsDescriptors) {
  const Ends ends = Connected();
  const size_t before = OpenDescriptors();
  ASSERT_TRUE(
      SendPacket(ends.left.get(), Bytes("x"), std::array{ends.left.get(), ends.left.get()}).ok());
  {
    const std::optional<Packet> packet = Receive(ends.right);
    EXPECT_EQ(OpenDescriptors(), before + 2);
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST(SendPacket, RefusesAnEmptyPacket) {
  const Ends ends = Connected();
  EXPECT_EQ(Send(ends.left, "").code(), absl::StatusCode::kInvalidArgument);
}

TEST(SendPacket, SendsAsManyDescriptorsAsTheKernelTakes) {
  const Ends ends = Connected();
  const std::vector<int> most(kMaxPacketFds, ends.left.get());
  ASSERT_TRUE(SendPacket(ends.left.get(), Bytes("x"), most).ok());
  const absl::StatusOr<std::optional<Packet>> packet =
      ReceivePacket(ends.right.get(), 1, ~size_t{0});
  ASSERT_TRUE(packet.ok()) << packet.status();
  EXPECT_EQ((*packet)->fds.size(), kMaxPacketFds);
}

TEST(SendPacket, RefusesMoreDescriptorsThanTheKernelTakes) {
  const Ends ends = Connected();
  const std::vector<int> too_many(kMaxPacketFds + 1, ends.left.get());
  const absl::Status status = SendPacket(ends.left.get(), Bytes("x"), too_many);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("at most 253"));
}

TEST(SendPacket, RefusesADescriptorThatIsNotOpen) {
  const Ends ends = Connected();
  EXPECT_EQ(SendPacket(ends.left.get(), Bytes("x"), std::array{-1}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SendPacket(-1, Bytes("x"), {}).code(), absl::StatusCode::kInvalidArgument);
}

TEST(SendPacket, NamesTheBufferThatAPacketDoesNotFit) {
  const Ends ends = Connected();
  int buffer = 0;
  socklen_t length = sizeof(buffer);
  ASSERT_EQ(getsockopt(ends.left.get(), SOL_SOCKET, SO_SNDBUF, &buffer, &length), 0);
  const absl::Status status = Send(ends.left, std::string(static_cast<size_t>(buffer) + 1, 'x'));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(std::to_string(buffer) + " bytes (SO_SNDBUF)"));
}

TEST(SendPacket, DoesNotWaitForAPeerThatDoesNotRead) {
  const Ends ends = Connected();
  absl::Status status;
  while (status.ok()) {
    status = Send(ends.left, "x");
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("the peer does not read it"));
  EXPECT_EQ(ReceivedText(ends.right), "x");
  EXPECT_TRUE(Send(ends.left, "x").ok());
}

TEST(SendPacket, NamesThePeerThatIsGone) {
  Ends ends = Connected();
  ends.right = UniqueFd();
  const absl::Status status = Send(ends.left, "x");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("pid " + std::to_string(getpid())));
}

TEST(SendPacket, NamesTheLimitOfDescriptorsOnTheirWay) {
  const Ends ends = Connected();
  absl::Status status;
  std::thread([&] {
    DropCapabilitiesOfThisThread();
    const LoweredLimit limit(RLIMIT_NOFILE, 100);
    const std::vector<int> most(kMaxPacketFds, ends.left.get());
    while (status.ok()) {
      status = SendPacket(ends.left.get(), Bytes("x"), most);
    }
  }).join();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("RLIMIT_NOFILE, which is 100"));
}

TEST(ReceivePacket, IsEmptyWhenNothingCame) {
  const Ends ends = Connected();
  const absl::StatusOr<std::optional<Packet>> packet = ReceivePacket(ends.right.get(), 64, 8);
  ASSERT_TRUE(packet.ok()) << packet.status();
  EXPECT_FALSE(packet->has_value());
}

TEST(ReceivePacket, NamesThePeerThatIsGone) {
  Ends ends = Connected();
  ends.left = UniqueFd();
  const absl::Status status = ReceivePacket(ends.right.get(), 64, 8).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("pid " + std::to_string(getpid())));
}

TEST(ReceivePacket, DeliversWhatWasSentBeforeThePeerWasGone) {
  Ends ends = Connected();
  ASSERT_TRUE(Send(ends.left, "last words").ok());
  ends.left = UniqueFd();
  EXPECT_EQ(ReceivedText(ends.right), "last words");
  EXPECT_EQ(ReceivePacket(ends.right.get(), 64, 8).status().code(), absl::StatusCode::kUnavailable);
}

TEST(ReceivePacket, DeliversWhatWasSentByAPeerThatLeftWithoutReading) {
  Ends ends = Connected();
  ASSERT_TRUE(Send(ends.right, "never read").ok());
  ASSERT_TRUE(Send(ends.left, "last words").ok());
  ends.left = UniqueFd();
  EXPECT_EQ(ReceivedText(ends.right), "last words");
  EXPECT_EQ(ReceivePacket(ends.right.get(), 64, 8).status().code(), absl::StatusCode::kUnavailable);
}

TEST(ReceivePacket, TakesAsManyBytesAsItWasAllowed) {
  const Ends ends = Connected();
  ASSERT_TRUE(Send(ends.left, "four").ok());
  const absl::StatusOr<std::optional<Packet>> packet = ReceivePacket(ends.right.get(), 4, 0);
  ASSERT_TRUE(packet.ok()) << packet.status();
  EXPECT_EQ(Text(**packet), "four");
}

TEST(ReceivePacket, RefusesMoreBytesThanItWasAllowed) {
  const Ends ends = Connected();
  ASSERT_TRUE(Send(ends.left, "fives").ok());
  const absl::Status status = ReceivePacket(ends.right.get(), 4, 0).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("5 bytes"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("at most 4"));
}

TEST(ReceivePacket, ClosesTheDescriptorsOfAPacketWithTooManyBytes) {
  const Ends ends = Connected();
  ASSERT_TRUE(SendPacket(ends.left.get(), Bytes("fives"), std::array{ends.left.get()}).ok());
  const size_t before = OpenDescriptors();
  EXPECT_EQ(ReceivePacket(ends.right.get(), 4, 1).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(OpenDescriptors(), before);
}

// For one descriptor there is as much room as for two, for two as much as they need, for none there
// is none.
TEST(ReceivePacket, RefusesMoreDescriptorsThanItWasAllowedAndClosesThem) {
  const Ends ends = Connected();
  const size_t before = OpenDescriptors();
  for (const size_t allowed : {0, 1, 2, 3}) {
    const std::vector<int> too_many(allowed + 1, ends.left.get());
    ASSERT_TRUE(SendPacket(ends.left.get(), Bytes("x"), too_many).ok());
    const absl::Status status = ReceivePacket(ends.right.get(), 64, allowed).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << allowed << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("at most " + std::to_string(allowed)));
    EXPECT_EQ(OpenDescriptors(), before);
  }
}

TEST(ReceivePacket, TellsItsOwnLackOfDescriptorsFromThePeersExcess) {
  const Ends ends = Connected();
  ASSERT_TRUE(
      SendPacket(ends.left.get(), Bytes("x"), std::array{ends.left.get(), ends.left.get()}).ok());
  const size_t before = OpenDescriptors();
  absl::Status status;
  {
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    status = ReceivePacket(ends.right.get(), 64, 2).status();
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("RLIMIT_NOFILE is 3"));
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST(ReceivePacket, RefusesAnEmptyPacket) {
  const Ends ends = Connected();
  ASSERT_EQ(send(ends.left.get(), "", 0, 0), 0);
  const absl::Status status = ReceivePacket(ends.right.get(), 64, 8).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("0 bytes"));
}

TEST(ReceivePacket, RefusesAPacketWithoutASender) {
  const Ends ends = Connected();
  const int off = 0;
  ASSERT_EQ(setsockopt(ends.left.get(), SOL_SOCKET, SO_PASSCRED, &off, sizeof(off)), 0);
  ASSERT_EQ(setsockopt(ends.right.get(), SOL_SOCKET, SO_PASSCRED, &off, sizeof(off)), 0);
  ASSERT_TRUE(Send(ends.left, "x").ok());
  EXPECT_EQ(ReceivePacket(ends.right.get(), 64, 8).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(ReceivePacket, SaysWhatIsNoSocket) {
  EXPECT_THAT(std::string(ReceivePacket(-1, 64, 8).status().message()),
              HasSubstr("Bad file descriptor"));
}

}  // namespace
}  // namespace shoal
