// Descriptors that a security module keeps from this process, told from a limit on their number.

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/tests/refused_descriptors.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/packet.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_process.h"

namespace shoal {
namespace {

using testing::HasSubstr;

ChannelOptions WithDescriptors() {
  ChannelOptions options;
  options.max_fds_per_message = 2;
  return options;
}

void ExpectRefused(const absl::Status& status) {
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_THAT(Text(status), HasSubstr("security module"));
}

TEST(RefusedDescriptors, OfAPacketAreToldFromALimit) {
  const std::array<std::byte, 1> bytes{};
  const std::array<int, 2> fds = {STDIN_FILENO, STDIN_FILENO};
  const auto [left, right] = SocketPair().value();
  ASSERT_TRUE(SendPacket(left.get(), bytes, fds).ok());
  const size_t before = OpenDescriptors();
  {
    const RefusedDescriptors refused;
    ExpectRefused(ReceivePacket(right.get(), 1, 2).status());
  }
  EXPECT_EQ(OpenDescriptors(), before);
  ASSERT_TRUE(SendPacket(left.get(), bytes, fds).ok());
  const LoweredLimit limit(RLIMIT_NOFILE, 3);
  EXPECT_THAT(Text(ReceivePacket(right.get(), 1, 2).status()), HasSubstr("RLIMIT_NOFILE is 3"));
}

TEST(RefusedDescriptors, OfAMessageEndTheChannelWithTheReason) {
  Pair pair(WithDescriptors());
  OutgoingMessage message = Numbered(*pair.left, 1);
  const int fd = STDIN_FILENO;
  message.SetFds({&fd, 1});
  ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
  const RefusedDescriptors refused;
  ExpectRefused(pair.right->Receive().status());
  EXPECT_FALSE(pair.right->short_of_descriptors()) << "there is nothing to wait for";
  ExpectRefused(pair.right->Receive().status());
}

TEST(RefusedDescriptors, OfASlabEndTheChannelWithTheReason) {
  Pair pair;
  ASSERT_TRUE(Send(*pair.left, 1, 8 << 20).ok());
  const RefusedDescriptors refused;
  ExpectRefused(pair.right->Receive().status());
}

TEST(RefusedDescriptors, OfARegionFailTheConnectionWithTheReason) {
  const RefusedDescriptors refused;
  ExpectRefused(ChannelPair().status());
}

}  // namespace
}  // namespace shoal
