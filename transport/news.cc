#include "shoal/transport/news.h"

#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "capnp/message.h"
#include "capnp/serialize.h"
#include "kj/exception.h"
#include "shoal/schema/news.capnp.h"
#include "shoal/transport/packet.h"

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

// What a packet's bytes are, aligned as a reader needs them; it throws on what is malformed.
class NewsReader {
 public:
  explicit NewsReader(std::span<const std::byte> bytes)
      : words_((bytes.size() + 7) / 8), message_(Copy(bytes)) {}

  schema::News::Reader news() { return message_.getRoot<schema::News>(); }

 private:
  kj::ArrayPtr<const capnp::word> Copy(std::span<const std::byte> bytes) {
    std::memcpy(words_.data(), bytes.data(), bytes.size());
    return kj::arrayPtr(reinterpret_cast<const capnp::word*>(words_.data()), words_.size());
  }

  std::vector<uint64_t> words_;
  capnp::FlatArrayMessageReader message_;
};

absl::StatusOr<News> Parse(Doorbell::Packet& packet, const Peer& peer) {
  NewsReader reader(packet.bytes);
  const auto news = reader.news();
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
    NewsReader reader(bytes);
    const auto news = reader.news();
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
