#include "shoal/transport/news.h"

#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capnp/message.h"
#include "capnp/serialize.h"
#include "kj/exception.h"
#include "shoal/schema/news.capnp.h"
#include "shoal/transport/packet.h"
#include "shoal/transport/packet_message.h"

namespace shoal {
namespace {

absl::Status Send(Doorbell& doorbell, capnp::MessageBuilder& message, std::span<const int> fds) {
  const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
  const auto bytes = words.asBytes();
  return doorbell.SendNews({reinterpret_cast<const std::byte*>(bytes.begin()), bytes.size()}, fds);
}

absl::Status Senseless(const Peer& peer, size_t bytes, size_t fds) {
  return absl::DataLossError(absl::StrCat(
      peer.Describe(), " sent news of ", bytes, " bytes with ", fds,
      " descriptors over the connection's socket, which this version does not understand"));
}

absl::StatusOr<News> Parse(Doorbell::Packet& packet, const Peer& peer) {
  PacketMessage message(packet.bytes);
  const auto news = message.Root<schema::News>();
  if (packet.fd_refused) {
    return FdRefused(peer.Describe());
  }
  if (packet.too_many_fds) {
    return Senseless(peer, packet.bytes.size(), packet.fds.size());
  }
  if (news.isMessageFds()) {
    return MessageFds{.fds = std::move(packet.fds)};
  }
  if (news.isSlabAdded() && packet.fds.size() == 1) {
    const auto added = news.getSlabAdded();
    return SlabAdded{
        .number = added.getNumber(), .bytes = added.getBytes(), .fd = std::move(packet.fds[0])};
  }
  if (news.isSlabDropped() && packet.fds.empty()) {
    return SlabDropped{.number = news.getSlabDropped()};
  }
  return Senseless(peer, packet.bytes.size(), packet.fds.size());
}

}  // namespace

absl::Status SendSlabAdded(Doorbell& doorbell, uint32_t number, uint64_t bytes, int fd) {
  capnp::MallocMessageBuilder message(32);
  auto added = message.initRoot<schema::News>().initSlabAdded();
  added.setNumber(number);
  added.setBytes(bytes);
  return Send(doorbell, message, {&fd, 1});
}

absl::Status SendSlabDropped(Doorbell& doorbell, uint32_t number) {
  capnp::MallocMessageBuilder message(32);
  message.initRoot<schema::News>().setSlabDropped(number);
  return Send(doorbell, message, {});
}

absl::Status SendMessageFds(Doorbell& doorbell, std::span<const int> fds) {
  capnp::MallocMessageBuilder message(32);
  message.initRoot<schema::News>().setMessageFds();
  return Send(doorbell, message, fds);
}

size_t MostFdsOfNews(std::span<const std::byte> bytes, size_t per_message) {
  size_t most = 0;
  kj::runCatchingExceptions([&] {
    PacketMessage message(bytes);
    const auto news = message.Root<schema::News>();
    most = news.isSlabAdded() ? 1 : news.isMessageFds() ? per_message : 0;
  });
  return most;
}

absl::StatusOr<News> ParseNews(Doorbell::Packet packet, const Peer& peer) {
  absl::StatusOr<News> news = Senseless(peer, packet.bytes.size(), packet.fds.size());
  // Cap'n Proto throws on what is malformed.
  kj::runCatchingExceptions([&] { news = Parse(packet, peer); });
  return news;
}

}  // namespace shoal
