#include "shoal/transport/handshake.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "capnp/message.h"
#include "capnp/serialize.h"
#include "kj/exception.h"
#include "shoal/schema/hello.capnp.h"
#include "shoal/transport/link.h"
#include "shoal/transport/message_limit.h"
#include "shoal/transport/packet.h"
#include "shoal/transport/peer_watch.h"
#include "shoal/transport/shm_channel.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/trust.h"

namespace shoal {
namespace {

using Reason = schema::Refusal::Reason;

constexpr size_t kMaxGreetingBytes = 4096;
constexpr size_t kRegions = 2;             // control, slab
constexpr size_t kMaxRefusalBytes = 1024;  // ours need half of it, addresses included

uint64_t NewEpoch() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

Region::Pages PagesFor(const ChannelOptions& options) {
  return options.huge_pages ? Region::Pages::kHuge : Region::Pages::kNormal;
}

absl::StatusOr<Outbox> NewOutbox(const ChannelOptions& options) {
  absl::StatusOr<Outbox> outbox =
      Outbox::Create(OutboxShape::Of(options), NewEpoch(), PagesFor(options));
  if (outbox.ok() && options.prefault) {
    outbox->control_region().Prefault();
    outbox->slab_region().Prefault();
  }
  return outbox;
}

// What a greeting said, copied out of the packet and not yet believed.
struct Hello {
  uint64_t epoch;
  OutboxShape shape;
  uint64_t peer_slabs_bytes;
  uint32_t max_fds_per_message;
  uint64_t max_message_words;
  UniqueFd control;
  UniqueFd slab;
};

absl::Status SendGreeting(int fd, capnp::MessageBuilder& message, std::span<const int> fds) {
  const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
  const auto bytes = words.asBytes();
  return SendPacket(fd, {reinterpret_cast<const std::byte*>(bytes.begin()), bytes.size()}, fds);
}

schema::Greeting::Builder NewGreeting(capnp::MessageBuilder& message) {
  auto greeting = message.initRoot<schema::Greeting>();
  greeting.setMagic(kMagic);
  greeting.setVersion(kProtocolVersion);
  return greeting;
}

absl::Status SendHello(int fd, Outbox& own, const Peer& peer, const ChannelOptions& options) {
  capnp::MallocMessageBuilder message(64);
  auto hello = NewGreeting(message).initHello();
  hello.setEpoch(own.control().header.epoch);
  hello.setSlots(own.shape().slots);
  hello.setReceipts(own.shape().receipts);
  hello.setSlabBytes(own.shape().slab_bytes);
  hello.setPeerSlabsBytes(options.max_peer_slabs_bytes);
  hello.setMaxFdsPerMessage(options.max_fds_per_message);
  hello.setProtocol(options.protocol);
  hello.setMaxMessageWords(ReceiveLimit(options, TrustIn(peer, options)).words);
  const std::array<int, kRegions> fds = {own.control_region().fd(), own.slab_region().fd()};
  absl::Status sent = SendGreeting(fd, message, fds);
  own.control_region().ReleaseFd();
  own.slab_region().ReleaseFd();
  return sent;
}

Reason ReasonFor(const absl::Status& error) {
  switch (error.code()) {
    case absl::StatusCode::kFailedPrecondition:
      return Reason::VERSION;
    case absl::StatusCode::kPermissionDenied:
      return Reason::PERMISSION;
    case absl::StatusCode::kResourceExhausted:
      return Reason::RESOURCES;
    default:
      return Reason::PROTOCOL;
  }
}

// Tells the client why; it may be gone, and then nobody is left to tell.
void Refuse(int fd, const absl::Status& error) {
  capnp::MallocMessageBuilder message(64);
  auto refusal = NewGreeting(message).initRefusal();
  refusal.setReason(ReasonFor(error));
  refusal.setText(std::string(error.message().data(), error.message().size()));
  SendGreeting(fd, message, {}).IgnoreError();
}

// A peer's text for an error of ours, which may be printed on a terminal.
std::string Printable(capnp::Text::Reader text) {
  const absl::string_view shown(text.begin(), std::min(text.size(), kMaxRefusalBytes));
  // Quotes do nothing to anybody, and our own texts have some.
  return absl::StrReplaceAll(absl::CHexEscape(shown), {{"\\\"", "\""}, {"\\'", "'"}});
}

absl::Status Refused(const Peer& peer, schema::Refusal::Reader refusal) {
  const std::string text =
      absl::StrCat(peer.Describe(), " refused the connection: ", Printable(refusal.getText()));
  switch (refusal.getReason()) {
    case Reason::VERSION:
      return absl::FailedPreconditionError(text);
    case Reason::PERMISSION:
      return absl::PermissionDeniedError(text);
    case Reason::RESOURCES:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::DataLossError(text);
  }
}

absl::Status Foreign(const Peer& peer) {
  return absl::InvalidArgumentError(absl::StrCat(
      "the program at ", peer.Describe(),
      " does not speak Shoal's protocol; check the address, which belongs to another program"));
}

absl::Status CheckUid(const Peer& peer, uid_t allowed, const ChannelOptions& options) {
  const std::vector<uid_t>& others = options.allowed_uids;
  if (peer.uid == allowed || std::find(others.begin(), others.end(), peer.uid) != others.end()) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(
      absl::StrCat("the peer at ", peer.Describe(), " has user id ", peer.uid, "; allowed is ",
                   allowed, others.empty() ? "" : ", or one of ", absl::StrJoin(others, ", "),
                   "; ChannelOptions::allowed_uids lets others in"));
}

// Reads a greeting; Cap'n Proto throws on what is malformed, which ReadGreeting() catches.
absl::StatusOr<Hello> ParseGreeting(Packet& packet, const Peer& peer,
                                    const ChannelOptions& options) {
  std::vector<uint64_t> words((packet.bytes.size() + 7) / 8);
  std::memcpy(words.data(), packet.bytes.data(), packet.bytes.size());
  capnp::FlatArrayMessageReader message(
      kj::arrayPtr(reinterpret_cast<const capnp::word*>(words.data()), words.size()));
  const auto greeting = message.getRoot<schema::Greeting>();
  if (greeting.getMagic() != kMagic) {
    return Foreign(peer);
  }
  if (greeting.isRefusal()) {
    return Refused(peer, greeting.getRefusal());
  }
  if (greeting.getVersion() != kProtocolVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the peer at ", peer.Describe(), " speaks version ", greeting.getVersion(),
        " of the protocol, this side version ", kProtocolVersion, "; update the older of the two"));
  }
  if (!greeting.isHello()) {
    return absl::DataLossError(absl::StrCat("the peer at ", peer.Describe(), " sent a greeting of ",
                                            "kind ", static_cast<uint16_t>(greeting.which()),
                                            ", which is neither a hello nor a refusal"));
  }
  if (packet.fds.size() != kRegions) {
    return absl::DataLossError(absl::StrCat("the peer at ", peer.Describe(), " sent ",
                                            packet.fds.size(), " regions in its greeting; ",
                                            kRegions, " belong there"));
  }
  const auto hello = greeting.getHello();
  if (const std::string protocol = hello.getProtocol().cStr(); protocol != options.protocol) {
    const std::string theirs = protocol.substr(0, ChannelOptions::kMaxProtocolBytes);
    return absl::FailedPreconditionError(absl::StrCat(
        "the peer at ", peer.Describe(), " speaks \"", absl::CHexEscape(theirs), "\", this side \"",
        options.protocol, "\"; check the address, or ChannelOptions::protocol on both sides"));
  }
  return Hello{
      .epoch = hello.getEpoch(),
      .shape = {.slots = hello.getSlots(),
                .receipts = hello.getReceipts(),
                .slab_bytes = hello.getSlabBytes()},
      .peer_slabs_bytes = hello.getPeerSlabsBytes(),
      .max_fds_per_message =
          std::min(hello.getMaxFdsPerMessage(), ChannelOptions::kMaxFdsPerMessage),
      .max_message_words = std::min(hello.getMaxMessageWords(), ChannelOptions::kMaxMessageWords),
      .control = std::move(packet.fds[0]),
      .slab = std::move(packet.fds[1])};
}

absl::StatusOr<Hello> ReadGreeting(Packet& packet, const Peer& peer,
                                   const ChannelOptions& options) {
  absl::StatusOr<Hello> hello = Foreign(peer);
  const auto exception =
      kj::runCatchingExceptions([&] { hello = ParseGreeting(packet, peer, options); });
  if (exception != nullptr) {
    return Foreign(peer);
  }
  return hello;
}

// The peer's greeting packet with the peer's identity by the kernel's word, or nothing yet.
struct Greeted {
  Packet packet;
  Peer peer;
};

absl::StatusOr<std::optional<Greeted>> ReceiveGreeting(int fd, const Address& address, uid_t uid,
                                                       const ChannelOptions& options) {
  absl::StatusOr<std::optional<Packet>> packet = ReceivePacket(fd, kMaxGreetingBytes, kRegions);
  if (!packet.ok() || !*packet) {
    return packet.ok() ? absl::StatusOr<std::optional<Greeted>>(std::nullopt) : packet.status();
  }
  const Peer peer = {
      .address = address.text(), .pid = (*packet)->sender.pid, .uid = (*packet)->sender.uid};
  if (absl::Status allowed = CheckUid(peer, uid, options); !allowed.ok()) {
    return allowed;
  }
  return Greeted{.packet = **std::move(packet), .peer = peer};
}

absl::StatusOr<PeerOutbox> MapRegions(Hello& hello, const Peer& peer,
                                      const ChannelOptions& options) {
  if (hello.shape.slab_bytes > options.max_peer_slabs_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the first slab of the peer at ", peer.Describe(), " has ", hello.shape.slab_bytes,
        " bytes, more than ChannelOptions::max_peer_slabs_bytes, ", options.max_peer_slabs_bytes,
        "; raise it, or lower slab_bytes on the other side"));
  }
  absl::StatusOr<PeerOutbox> theirs = PeerOutbox::Map(
      hello.shape, hello.epoch, peer, std::move(hello.control), std::move(hello.slab),
      PeerSlabs(options.max_peer_slabs_bytes, PagesFor(options)));
  if (theirs.ok() && options.prefault) {
    theirs->Prefault();
  }
  return theirs;
}

// What both sides know of each other once the peer's greeting has come and is right.
struct Met {
  Peer peer;
  Hello hello;
  PeerOutbox theirs;
  PeerWatch watch;
};

// Nothing when no greeting has come yet.
absl::StatusOr<std::optional<Met>> Meet(int fd, const Address& address, uid_t uid,
                                        const ChannelOptions& options) {
  absl::StatusOr<std::optional<Greeted>> greeted = ReceiveGreeting(fd, address, uid, options);
  if (!greeted.ok() || !*greeted) {
    return greeted.ok() ? absl::StatusOr<std::optional<Met>>(std::nullopt) : greeted.status();
  }
  const Peer& peer = (*greeted)->peer;
  absl::StatusOr<Hello> hello = ReadGreeting((*greeted)->packet, peer, options);
  if (!hello.ok()) {
    return hello.status();
  }
  absl::StatusOr<PeerOutbox> theirs = MapRegions(*hello, peer, options);
  if (!theirs.ok()) {
    return theirs.status();
  }
  absl::StatusOr<PeerWatch> watch = PeerWatch::Create(peer);
  if (!watch.ok()) {
    return watch.status();
  }
  return Met{.peer = peer,
             .hello = *std::move(hello),
             .theirs = *std::move(theirs),
             .watch = *std::move(watch)};
}

std::unique_ptr<Channel> Join(UniqueFd socket, Outbox own, Met met, const ChannelOptions& options) {
  const SlabLimits limits = {
      .slab_bytes = options.slab_bytes,
      .max_bytes = std::min(options.max_slabs_bytes, met.hello.peer_slabs_bytes),
      .idle_time = options.slab_idle_time,
      .max_idle_bytes = options.max_idle_slabs_bytes,
      .pages = PagesFor(options)};
  const FdLimits fd_limits = {.received = options.max_fds_per_message,
                              .sent = met.hello.max_fds_per_message};
  return std::make_unique<ShmChannel>(
      std::make_shared<Link>(std::move(own), std::move(met.theirs), met.peer, std::move(socket),
                             limits, fd_limits, std::move(met.watch), met.hello.max_message_words),
      options);
}

}  // namespace

absl::StatusOr<ClientHandshake> ClientHandshake::Begin(UniqueFd socket, const Address& address,
                                                       uid_t uid, const ChannelOptions& options) {
  const absl::StatusOr<ucred> listener = PeerCredentials(socket.get());
  if (!listener.ok()) {
    return listener.status();
  }
  const Peer peer = {.address = address.text(), .pid = listener->pid, .uid = listener->uid};
  if (absl::Status allowed = CheckUid(peer, uid, options); !allowed.ok()) {
    return allowed;
  }
  absl::StatusOr<Outbox> own = NewOutbox(options);
  if (!own.ok()) {
    return own.status();
  }
  if (absl::Status sent = SendHello(socket.get(), *own, peer, options); !sent.ok()) {
    return sent;
  }
  return ClientHandshake(std::move(socket), address, uid, options, *std::move(own));
}

absl::StatusOr<std::unique_ptr<Channel>> ClientHandshake::Finish() {
  absl::StatusOr<std::optional<Met>> met = Meet(socket_.get(), address_, uid_, options_);
  if (!met.ok() || !*met) {
    return met.ok() ? absl::StatusOr<std::unique_ptr<Channel>>(nullptr) : met.status();
  }
  return Join(std::move(socket_), std::move(own_), **std::move(met), options_);
}

absl::StatusOr<std::unique_ptr<Channel>> ServerHandshake::Finish() {
  absl::StatusOr<std::unique_ptr<Channel>> channel = Answer();
  if (!channel.ok()) {
    Refuse(socket_.get(), channel.status());
  }
  return channel;
}

absl::StatusOr<std::unique_ptr<Channel>> ServerHandshake::Answer() {
  absl::StatusOr<std::optional<Met>> met = Meet(socket_.get(), address_, uid_, options_);
  if (!met.ok() || !*met) {
    return met.ok() ? absl::StatusOr<std::unique_ptr<Channel>>(nullptr) : met.status();
  }
  absl::StatusOr<Outbox> own = NewOutbox(options_);
  if (!own.ok()) {
    return own.status();
  }
  if (absl::Status sent = SendHello(socket_.get(), *own, (*met)->peer, options_); !sent.ok()) {
    return sent;
  }
  return Join(std::move(socket_), *std::move(own), **std::move(met), options_);
}

}  // namespace shoal
