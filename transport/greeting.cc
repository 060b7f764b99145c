#include "shoal/transport/greeting.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "capnp/message.h"
#include "capnp/serialize.h"
#include "kj/exception.h"
#include "shoal/schema/hello.capnp.h"
#include "shoal/transport/message_limit.h"
#include "shoal/transport/packet_message.h"
#include "shoal/transport/trust.h"

namespace shoal {
namespace {

using Reason = schema::Refusal::Reason;

constexpr size_t kRegions = 2;             // control, slab
constexpr size_t kMaxRefusalBytes = 1024;  // ours need half of it, addresses included

std::string_view Name(Side side) { return side == Side::kClient ? "client" : "server"; }
Side Other(Side side) { return side == Side::kClient ? Side::kServer : Side::kClient; }

absl::Status SendGreeting(int fd, capnp::MessageBuilder& message, std::span<const int> fds = {}) {
  const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
  const auto bytes = words.asBytes();
  // As in SO_PEERCRED, not the real user id, which is another one in a set-uid program. Where they
  // are equal nothing is said: an id without a number in this user namespace cannot be.
  const ucred effective = {.pid = getpid(), .uid = geteuid(), .gid = getgid()};
  return SendPacket(fd, {reinterpret_cast<const std::byte*>(bytes.begin()), bytes.size()}, fds,
                    getuid() == geteuid() ? std::nullopt : std::optional(effective));
}

schema::Greeting::Builder NewGreeting(capnp::MessageBuilder& message) {
  auto greeting = message.initRoot<schema::Greeting>();
  greeting.setMagic(kMagic);
  greeting.setVersion(kProtocolVersion);
  return greeting;
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

// A hello, or nothing for what precedes one: a knock or a welcome. Cap'n Proto throws on what is
// malformed, which ReadGreeting() catches.
absl::StatusOr<std::optional<Hello>> ParseGreeting(Packet& packet, const Peer& peer, Side side,
                                                   const ChannelOptions& options) {
  PacketMessage message(packet.bytes);
  const auto greeting = message.Root<schema::Greeting>();
  if (greeting.getMagic() != kMagic) {
    return Foreign(peer);
  }
  if (greeting.isRefusal()) {
    return Refused(peer, greeting.getRefusal());
  }
  if (greeting.getVersion() != kProtocolVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        TheOther(side, peer), " speaks version ", greeting.getVersion(), " of the protocol, the ",
        std::string(Name(side)), " version ", kProtocolVersion, "; update the older of the two"));
  }
  if (side == Side::kServer ? greeting.isKnock() : greeting.isWelcome()) {
    return std::nullopt;
  }
  if (!greeting.isHello()) {
    return absl::DataLossError(absl::StrCat(TheOther(side, peer), " sent a greeting of kind ",
                                            static_cast<uint16_t>(greeting.which()),
                                            ", which does not belong there"));
  }
  if (packet.fds.size() != kRegions) {
    return absl::DataLossError(absl::StrCat(TheOther(side, peer), " sent ", packet.fds.size(),
                                            " regions in its greeting; ", kRegions,
                                            " belong there"));
  }
  const auto hello = greeting.getHello();
  if (const std::string protocol = hello.getProtocol().cStr(); protocol != options.protocol) {
    const std::string theirs = protocol.substr(0, ChannelOptions::kMaxProtocolBytes);
    return absl::FailedPreconditionError(
        absl::StrCat(TheOther(side, peer), " speaks \"", absl::CHexEscape(theirs), "\", the ",
                     std::string(Name(side)), " \"", options.protocol,
                     "\"; check the address, or ChannelOptions::protocol on both sides"));
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
      .claim = hello.getClaim().cStr(),
      .control = std::move(packet.fds[0]),
      .slab = std::move(packet.fds[1])};
}

}  // namespace

std::string TheOther(Side side, const Peer& peer) {
  return absl::StrCat("the ", std::string(Name(Other(side))), " at ", peer.Describe());
}

absl::Status SendHello(int fd, Outbox& own, const Peer& peer, const ChannelOptions& options,
                       std::string_view claim) {
  capnp::MallocMessageBuilder message(64);
  auto hello = NewGreeting(message).initHello();
  hello.setEpoch(own.control().header.epoch);
  hello.setSlots(own.shape().slots);
  hello.setReceipts(own.shape().receipts);
  hello.setSlabBytes(own.shape().slab_bytes);
  hello.setPeerSlabsBytes(options.max_peer_slabs_bytes);
  hello.setMaxFdsPerMessage(options.max_fds_per_message);
  hello.setProtocol(options.protocol);
  hello.setClaim(std::string(claim));
  hello.setMaxMessageWords(ReceiveLimit(options, TrustIn(peer, options)).words);
  const std::array<int, kRegions> fds = {own.control_region().fd(), own.slab_region().fd()};
  absl::Status sent = SendGreeting(fd, message, fds);
  if (sent.ok()) {
    own.control_region().ReleaseFd();
    own.slab_region().ReleaseFd();
  }
  return sent;
}

absl::Status SendKnock(int fd) {
  capnp::MallocMessageBuilder message(64);
  NewGreeting(message).setKnock();
  return SendGreeting(fd, message);
}

absl::Status SendWelcome(int fd) {
  capnp::MallocMessageBuilder message(64);
  NewGreeting(message).setWelcome();
  return SendGreeting(fd, message);
}

void SendRefusal(int fd, const absl::Status& error) {
  capnp::MallocMessageBuilder message(64);
  auto refusal = NewGreeting(message).initRefusal();
  refusal.setReason(ReasonFor(error));
  refusal.setText(std::string(error.message().data(), error.message().size()));
  SendGreeting(fd, message).IgnoreError();
}

size_t MostFdsOfGreeting(std::span<const std::byte> bytes) {
  size_t most = 0;
  kj::runCatchingExceptions([&] {
    PacketMessage message(bytes);
    const auto greeting = message.Root<schema::Greeting>();
    const bool is_hello = greeting.getMagic() == kMagic &&
                          greeting.getVersion() == kProtocolVersion && greeting.isHello();
    most = is_hello ? kRegions : 0;
  });
  return most;
}

absl::StatusOr<std::optional<Hello>> ReadGreeting(Packet& packet, const Peer& peer, Side side,
                                                  const ChannelOptions& options) {
  absl::StatusOr<std::optional<Hello>> hello = Foreign(peer);
  const auto exception =
      kj::runCatchingExceptions([&] { hello = ParseGreeting(packet, peer, side, options); });
  if (exception != nullptr) {
    return Foreign(peer);
  }
  return hello;
}

}  // namespace shoal
