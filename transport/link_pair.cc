#include "shoal/transport/link_pair.h"

#include <sanitizer/asan_interface.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/test_data.capnp.h"

namespace shoal {
namespace {

constexpr uint64_t kEpoch = 4711;

// What `outbox` is to its peer.
PeerOutbox SeenByPeer(Outbox& outbox) {
  UniqueFd control = outbox.control_region().ReleaseFd();
  UniqueFd slab = outbox.slab_region().ReleaseFd();
  return PeerOutbox::Map(outbox.shape(), kEpoch, {}, std::move(control), std::move(slab),
                         PeerSlabs(ChannelOptions::kMaxSlabsBytes))
      .value();
}

std::shared_ptr<Link> MakeLink(Outbox own, PeerOutbox theirs, std::string peers_address,
                               UniqueFd socket, const SlabLimits& limits) {
  Peer peer = {
      .address = std::move(peers_address), .pid = getpid(), .uid = getuid(), .same_user = true};
  return std::make_shared<Link>(std::move(own), std::move(theirs), std::move(peer),
                                std::move(socket), limits,
                                FdLimits{.received = kMaxFds, .sent = kMaxFds});
}

uint8_t ByteAt(uint64_t number, size_t index) {
  return static_cast<uint8_t>(number * 59 + index + index / 256);
}

}  // namespace

LinkPair MakeLinkPair(const OutboxShape& shape, uint64_t max_slabs_bytes) {
  const SlabLimits limits = {.slab_bytes = shape.slab_bytes, .max_bytes = max_slabs_bytes};
  Outbox left = Outbox::Create(shape, kEpoch).value();
  Outbox right = Outbox::Create(shape, kEpoch).value();
  PeerOutbox left_seen = SeenByPeer(left);
  PeerOutbox right_seen = SeenByPeer(right);
  auto [left_socket, right_socket] = SocketPair().value();
  return {.left = MakeLink(std::move(left), std::move(right_seen), "shm:right",
                           std::move(left_socket), limits),
          .right = MakeLink(std::move(right), std::move(left_seen), "shm:left",
                            std::move(right_socket), limits)};
}

capnp::word* FirstSlab(Link& link) {
  const HeldBlock block = link.slabs.Claim(1).value();
  link.slabs.Drop(block);
  // A test writes there without a claim.
  ASAN_UNPOISON_MEMORY_REGION(block.slab->words(), block.slab->region.size());
  return block.slab->words();
}

void BuildBlob(capnp::MessageBuilder& message, uint64_t number, size_t data_bytes) {
  auto blob = message.initRoot<test::Blob>();
  blob.setNumber(number);
  auto data = blob.initData(static_cast<capnp::uint>(data_bytes));
  for (size_t i = 0; i < data.size(); ++i) {
    data[i] = ByteAt(number, i);
  }
}

void ExpectBlob(capnp::MessageReader& message, uint64_t number, size_t data_bytes) {
  const auto blob = message.getRoot<test::Blob>();
  EXPECT_EQ(blob.getNumber(), number);
  const auto data = blob.getData();
  ASSERT_EQ(data.size(), data_bytes);
  for (size_t i = 0; i < data.size(); ++i) {
    ASSERT_EQ(data[i], ByteAt(number, i)) << "at byte " << i << " of message " << number;
  }
}

std::optional<IncomingMessage> TakeFrom(Receiver& receiver) {
  const absl::StatusOr<IncomingBody*> body = receiver.Take();
  EXPECT_TRUE(body.ok()) << body.status();
  if (!body.ok() || *body == nullptr) {
    return std::nullopt;
  }
  return IncomingMessage(*body, capnp::ReaderOptions());
}

void ExpectNextBlob(Receiver& receiver, uint64_t number, size_t data_bytes) {
  std::optional<IncomingMessage> message = TakeFrom(receiver);
  ASSERT_TRUE(message.has_value()) << "no message " << number;
  ExpectBlob(message->reader(), number, data_bytes);
}

}  // namespace shoal
