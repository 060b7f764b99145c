#include "shoal/tests/fuzz/handshake_fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capnp/message.h"
#include "capnp/serialize.h"
#include "shoal/schema/hello.capnp.h"
#include "shoal/tests/fuzz/descriptors.h"
#include "shoal/tests/fuzz/input.h"
#include "shoal/tests/fuzz/require.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/handshake.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/outbox.h"
#include "shoal/transport/packet.h"
#include "shoal/transport/socket.h"

namespace shoal::fuzz {
namespace {

using absl::StatusCode;

constexpr int kMostSteps = 16;
constexpr uint64_t kEpoch = 4711;
constexpr size_t kMostBytes = 6000;  // more than a greeting may have

ChannelOptions Options() {
  ChannelOptions options;
  options.slots = kSmallShape.slots;
  options.loans = kSmallShape.receipts;
  options.slab_bytes = kSmallShape.slab_bytes;
  options.max_peer_slabs_bytes = 1 << 20;
  options.max_message_words = 1 << 16;
  options.when_full = WhenFull::kFail;
  options.linger = absl::ZeroDuration();
  return options;
}

Address SomeAddress() { return Address::Parse("shm:fuzz").value(); }

// Has one side of a handshake, and of the channel that comes of it.
class Victim {
 public:
  static std::unique_ptr<Victim> Server(UniqueFd socket) {
    auto victim = std::make_unique<Victim>();
    auto begun = ServerHandshake::Begin(std::move(socket), SomeAddress(), geteuid(), Options());
    Require(begun.ok(), "a server lets its own user greet");
    victim->server_.emplace(*std::move(begun));
    return victim;
  }

  static std::unique_ptr<Victim> Client(UniqueFd socket) {
    auto victim = std::make_unique<Victim>();
    auto begun = ClientHandshake::Begin(std::move(socket), SomeAddress(), geteuid(), Options());
    Require(begun.ok(), "a client can greet");
    victim->client_.emplace(*std::move(begun));
    return victim;
  }

  void Finish() {
    if (channel_ != nullptr) {
      Talk();
    } else if (!said_.ok() && absl::IsDeadlineExceeded(said_)) {
      Look();
    }
  }

  const absl::Status& said() const { return said_; }

 private:
  void Look() {
    auto finished = server_ ? server_->Finish() : client_->Finish();
    RequireOneOf(finished.status(),
                 {StatusCode::kInvalidArgument, StatusCode::kFailedPrecondition,
                  StatusCode::kPermissionDenied, StatusCode::kDataLoss, StatusCode::kUnavailable,
                  StatusCode::kResourceExhausted},
                 "a handshake fails as handshake.h says");
    if (!finished.ok()) {
      said_ = finished.status();
    } else if (*finished != nullptr) {
      said_ = absl::OkStatus();
      channel_ = *std::move(finished);
    }
  }

  void Talk() {
    RequireOneOf(channel_->TryReceive().status(),
                 {StatusCode::kUnavailable, StatusCode::kDataLoss, StatusCode::kResourceExhausted},
                 "receiving fails as channel.h says");
    OutgoingMessage message = channel_->Claim();
    BuildBlob(message.builder(), 1, 1000);
    RequireOneOf(channel_->Publish(std::move(message), absl::ZeroDuration()),
                 {StatusCode::kUnavailable, StatusCode::kDataLoss, StatusCode::kResourceExhausted,
                  StatusCode::kDeadlineExceeded, StatusCode::kInvalidArgument},
                 "publishing fails as channel.h says");
  }

  std::optional<ServerHandshake> server_;
  std::optional<ClientHandshake> client_;
  absl::Status said_ = absl::DeadlineExceededError("nothing came");
  std::unique_ptr<Channel> channel_;
};

// Has the other side, and an outbox of its own.
class Peer {
 public:
  explicit Peer(UniqueFd socket)
      : socket_(std::move(socket)), own_(Outbox::Create(kSmallShape, kEpoch).value()) {}

  void Hello(Input& input) {
    capnp::MallocMessageBuilder message;
    const uint64_t fields = input.Number(2);
    const auto field = [&](HelloField bit, size_t bytes, uint64_t otherwise) {
      return (fields & bit) != 0 ? input.Number(bytes) : otherwise;
    };
    auto greeting = message.initRoot<schema::Greeting>();
    greeting.setMagic(field(kMagicField, 8, kMagic));
    greeting.setVersion(static_cast<uint32_t>(field(kVersionField, 4, kProtocolVersion)));
    auto hello = greeting.initHello();
    hello.setEpoch(field(kEpochField, 8, kEpoch));
    hello.setSlots(static_cast<uint32_t>(field(kSlotsField, 4, kSmallShape.slots)));
    hello.setReceipts(static_cast<uint32_t>(field(kReceiptsField, 4, kSmallShape.receipts)));
    hello.setSlabBytes(field(kSlabBytesField, 8, kSmallShape.slab_bytes));
    hello.setPeerSlabsBytes(field(kPeerSlabsField, 8, 1 << 20));
    hello.setMaxFdsPerMessage(static_cast<uint32_t>(field(kMaxFdsField, 4, 0)));
    if ((fields & kProtocolField) != 0) {
      const auto text = input.Block(300);
      std::copy(text.begin(), text.end(), hello.initProtocol(text.size()).begin());
    }
    hello.setMaxMessageWords(field(kMaxWordsField, 8, ChannelOptions::kMaxMessageWords));
    SendPatched(message, input);
  }

  void Refusal(Input& input) {
    capnp::MallocMessageBuilder message;
    auto greeting = message.initRoot<schema::Greeting>();
    greeting.setMagic(kMagic);
    greeting.setVersion(static_cast<uint32_t>(input.Number(4)));
    auto refusal = greeting.initRefusal();
    refusal.setReason(static_cast<schema::Refusal::Reason>(input.Number(2)));
    const auto text = input.Block(300);
    std::copy(text.begin(), text.end(), refusal.initText(text.size()).begin());
    SendPatched(message, input);
  }

  void Prelude(Input& input) {
    capnp::MallocMessageBuilder message;
    auto greeting = message.initRoot<schema::Greeting>();
    greeting.setMagic(kMagic);
    greeting.setVersion(kProtocolVersion);
    if (input.Byte() % 2 == 0) {
      greeting.setKnock();
    } else {
      greeting.setWelcome();
    }
    SendPatched(message, input);
  }

  void Bytes(Input& input) {
    const auto bytes = input.Block(kMostBytes);
    Send(std::vector<uint8_t>(bytes.begin(), bytes.end()), input);
  }

  void Region(Input& input) {
    const size_t word = input.Number(2) % (own_.shape().control_bytes() / 8);
    reinterpret_cast<uint64_t*>(own_.control_region().data())[word] = input.Number(8);
  }

  void Message() {
    SlotWriter ring(own_.slots(), own_.shape().slots);
    const uint64_t root = 0;
    ring.Publish(SlotKind::kMessage, {&root, 1});
  }

  void Leave() { socket_ = UniqueFd(); }

  void Empty() { send(socket_.get(), "", 0, MSG_NOSIGNAL | MSG_DONTWAIT); }

 private:
  // Changes some bytes of the message, and sends it with descriptors.
  void SendPatched(capnp::MessageBuilder& message, Input& input) {
    const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
    std::vector<uint8_t> bytes(words.asBytes().begin(), words.asBytes().end());
    for (int left = input.Byte() % 8; left > 0; --left) {
      const size_t at = input.Number(2) % bytes.size();
      bytes[at] = input.Byte();
    }
    Send(bytes, input);
  }

  // A count of descriptors, and the kind of each, come from the input.
  void Send(const std::vector<uint8_t>& bytes, Input& input) {
    std::vector<UniqueFd> made;
    std::vector<int> fds;
    for (int left = input.Byte() % 6; left > 0; --left) {
      const uint8_t kind = input.Byte();
      if (kind == kControlFd || kind == kSlabFd) {
        auto& region = kind == kControlFd ? own_.control_region() : own_.slab_region();
        fds.push_back(region.fd());
        continue;
      }
      const size_t bytes_wanted =
          fds.empty() ? own_.shape().control_bytes() : own_.shape().slab_bytes;
      made.push_back(MakeFd(FdKindOf(kind - kFirstFdKind), bytes_wanted));
      fds.push_back(made.back().get());
    }
    // One that the kernel does not take, or for which the victim's socket has no room, is not sent.
    SendPacket(socket_.get(), std::as_bytes(std::span(bytes)), fds).IgnoreError();
  }

  UniqueFd socket_;
  Outbox own_;
};

void Step(Input& input, Peer& peer, Victim& victim) {
  const uint8_t step = input.Byte() % (static_cast<uint8_t>(HandshakeStep::kLast) + 1);
  switch (static_cast<HandshakeStep>(step)) {
    case HandshakeStep::kHello:
      return peer.Hello(input);
    case HandshakeStep::kRefusal:
      return peer.Refusal(input);
    case HandshakeStep::kBytes:
      return peer.Bytes(input);
    case HandshakeStep::kRegion:
      return peer.Region(input);
    case HandshakeStep::kFinish:
      return victim.Finish();
    case HandshakeStep::kLeave:
      return peer.Leave();
    case HandshakeStep::kEmpty:
      return peer.Empty();
    case HandshakeStep::kMessage:
      return peer.Message();
    case HandshakeStep::kPrelude:
      return peer.Prelude(input);
  }
}

}  // namespace

absl::Status FuzzHandshake(std::span<const uint8_t> bytes) {
  const SameDescriptors same;
  Input input(bytes);
  auto [victims, peers] = SocketPair().value();
  const auto victim = input.Byte() % 2 == 0 ? Victim::Server(std::move(victims))
                                            : Victim::Client(std::move(victims));
  Peer peer(std::move(peers));
  for (int i = 0; i < kMostSteps && !input.empty(); ++i) {
    Step(input, peer, *victim);
  }
  victim->Finish();
  victim->Finish();
  return victim->said();
}

}  // namespace shoal::fuzz
