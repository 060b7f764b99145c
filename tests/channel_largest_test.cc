// Messages of almost 4 GiB. Takes 9 GiB of memory, so it runs only when asked for by name.

#include <cstdint>
#include <memory>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/test_channels.h"

namespace shoal {
namespace {

constexpr uint32_t kPieces = 8;
constexpr uint32_t kPieceBytes = 500u << 20;  // a Data has less than 512 MiB

// Marks both ends of each piece and its middle.
void Mark(capnp::Data::Builder data, uint8_t mark) {
  data[0] = data[data.size() / 2] = data[data.size() - 1] = mark;
}

void PassOne(const ChannelOptions& options) {
  Pair pair(options);
  std::thread receiver([&] {
    auto message = pair.right->Receive();
    ASSERT_TRUE(message.ok()) << message.status();
    EXPECT_GT(message->SizeInWords() * 8, uint64_t{4000} << 20);
    const auto blobs = message->Root<test::Blobs>().getBlobs();
    ASSERT_EQ(blobs.size(), kPieces);
    for (uint32_t i = 0; i < kPieces; ++i) {
      const auto data = blobs[i].getData();
      ASSERT_EQ(data.size(), kPieceBytes);
      EXPECT_EQ(data[0], i + 1);
      EXPECT_EQ(data[kPieceBytes / 2], i + 1);
      EXPECT_EQ(data[kPieceBytes - 1], i + 1);
      EXPECT_EQ(data[kPieceBytes - 2], 0);
    }
  });
  OutgoingMessage message = pair.left->Claim();
  auto blobs = message.InitRoot<test::Blobs>().initBlobs(kPieces);
  for (uint32_t i = 0; i < kPieces; ++i) {
    Mark(blobs[i].initData(kPieceBytes), static_cast<uint8_t>(i + 1));
  }
  const absl::Status sent = pair.left->Publish(std::move(message));
  EXPECT_TRUE(sent.ok()) << sent;
  receiver.join();
}

TEST(ChannelLargest, PassesAMessageOfAlmostFourGibibytesByDefault) { PassOne({}); }

TEST(ChannelLargest, ReadsOneInPlaceWhereSlabsMayHoldIt) {
  ChannelOptions options;
  options.max_slabs_bytes = uint64_t{8} << 30;
  options.max_peer_slabs_bytes = uint64_t{8} << 30;
  PassOne(options);
}

}  // namespace
}  // namespace shoal
