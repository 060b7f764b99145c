#include "shoal/tests/fuzz/peer_fuzz.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "shoal/tests/fuzz/hostile_peer.h"
#include "shoal/tests/fuzz/input.h"
#include "shoal/tests/fuzz/reading.h"
#include "shoal/tests/fuzz/require.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/shm_channel.h"
#include "shoal/transport/test_data.capnp.h"

namespace shoal::fuzz {
namespace {

using absl::StatusCode;

constexpr int kMostSteps = 128;
constexpr size_t kMostKept = 8;  // messages, of each kind, that the victim holds
constexpr uint64_t kMostSlabsBytes = 256 << 10;

ChannelOptions Options(uint8_t byte) {
  ChannelOptions options;
  options.slots = kSmallShape.slots;
  options.loans = kSmallShape.receipts;
  options.slab_bytes = kSmallShape.slab_bytes;
  options.max_slabs_bytes = kMostSlabsBytes;
  options.max_fds_per_message = kMaxFds;
  options.max_message_words = kMaxFuzzedWords;
  options.reader = kFuzzedReader;
  options.trust = byte % 2 == 0 ? Trust::kNone : Trust::kPeer;
  options.when_full = static_cast<WhenFull>(byte / 2 % 3);
  options.max_pending_bytes = 1 << 20;
  options.spin = absl::ZeroDuration();
  options.linger = absl::ZeroDuration();
  return options;
}

// A message that the victim builds, of which it knows what is in it.
struct Built {
  OutgoingMessage message;
  uint8_t value;

  bool IsUnchanged() {
    const auto blob = message.GetRoot<test::Blob>().asReader();
    const auto data = blob.getData();
    return blob.getNumber() == value &&
           std::all_of(data.begin(), data.end(), [&](uint8_t byte) { return byte == value; });
  }
};

class Victim {
 public:
  Victim(std::shared_ptr<Link> link, HostilePeer& peer, const ChannelOptions& options)
      : trust_(*options.trust),
        peer_(peer),
        channel_(std::make_unique<ShmChannel>(std::move(link), options)) {}
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  // Messages outlive the channel.
  ~Victim() {
    channel_.reset();
    for (IncomingMessage& message : received_) {
      ReadAll(message);
    }
    for (Built& built : published_) {
      Require(built.IsUnchanged(), "a block that this side holds is not used again");
    }
  }

  void TryReceive() {
    auto received = channel_->TryReceive();
    if (Received(received.status()) && *received) {
      Take(**std::move(received));
    }
  }

  void Receive() {
    auto received = channel_->Receive(absl::ZeroDuration());
    if (absl::IsDeadlineExceeded(received.status()) || absl::IsCancelled(received.status())) {
      return;
    }
    if (Received(received.status())) {
      Take(*std::move(received));
    }
  }

  void DropMessage(size_t which) {
    if (!received_.empty()) {
      received_.erase(received_.begin() + static_cast<ptrdiff_t>(which % received_.size()));
    }
  }

  void Claim(size_t data_bytes) {
    Built built = {.message = channel_->Claim(), .value = ++value_};
    auto blob = built.message.InitRoot<test::Blob>();
    blob.setNumber(built.value);
    auto data = blob.initData(static_cast<capnp::uint>(data_bytes));
    Require(std::all_of(data.begin(), data.end(), [](uint8_t byte) { return byte == 0; }),
            "memory given to a builder is zero");
    std::fill(data.begin(), data.end(), built.value);
    Keep(claimed_, std::move(built));
  }

  void Publish(size_t which) {
    if (claimed_.empty()) {
      return;
    }
    const auto built = claimed_.begin() + static_cast<ptrdiff_t>(which % claimed_.size());
    Require(built->IsUnchanged(), "nobody writes what a builder has");
    Built kept = {.message = built->message.Share(), .value = built->value};
    const absl::Status status = channel_->Publish(std::move(built->message), absl::ZeroDuration());
    RequireOneOf(status,
                 {StatusCode::kUnavailable, StatusCode::kDataLoss, StatusCode::kResourceExhausted,
                  StatusCode::kDeadlineExceeded, StatusCode::kInvalidArgument,
                  StatusCode::kFailedPrecondition},
                 "publishing fails as channel.h says");
    if (absl::IsDataLoss(status)) {
      send_error_ = status;
    }
    if (status.ok()) {
      Keep(published_, std::move(kept));
      claimed_.erase(built);
    } else {
      Require(kept.IsUnchanged() && built->IsUnchanged(),
              "a message that was not published is as it was");
    }
  }

  void DropClaim(size_t which) {
    if (!claimed_.empty()) {
      claimed_.erase(claimed_.begin() + static_cast<ptrdiff_t>(which % claimed_.size()));
    }
  }

  void Flush() {
    RequireOneOf(channel_->Flush(absl::ZeroDuration()),
                 {StatusCode::kUnavailable, StatusCode::kDataLoss, StatusCode::kResourceExhausted,
                  StatusCode::kDeadlineExceeded},
                 "flushing fails as channel.h says");
  }

  void Look() {
    static_cast<void>(channel_->Readable());
    static_cast<void>(channel_->Flushable());
    static_cast<void>(channel_->TakeNotice());
    static_cast<void>(channel_->PeerAtWait());
    static_cast<void>(channel_->stats());
  }

  Channel& channel() { return *channel_; }

  absl::Status Ended() const {
    if (!send_error_.ok()) {
      return send_error_;
    }
    return receive_error_.ok() ? absl::DeadlineExceededError("nothing is wrong") : receive_error_;
  }

 private:
  bool Received(const absl::Status& status) {
    RequireOneOf(status,
                 {StatusCode::kUnavailable, StatusCode::kDataLoss, StatusCode::kResourceExhausted},
                 "receiving fails as channel.h says");
    Require(receive_error_.ok() || receive_error_ == status, "an error stays what it was");
    receive_error_ = status;
    return status.ok();
  }

  void Take(IncomingMessage message) {
    const uint64_t before = ReadAll(message);
    if (trust_ == Trust::kNone) {
      peer_.ScribbleOverSlab();
      Require(ReadAll(message) == before, "a copy is not changed by the peer");
    }
    Keep(received_, std::move(message));
  }

  template <typename T>
  static void Keep(std::deque<T>& kept, T&& one) {
    kept.push_back(std::move(one));
    if (kept.size() > kMostKept) {
      kept.pop_front();
    }
  }

  const Trust trust_;
  HostilePeer& peer_;
  std::unique_ptr<Channel> channel_;
  absl::Status receive_error_;
  absl::Status send_error_;
  uint8_t value_ = 0;
  std::deque<IncomingMessage> received_;
  std::deque<Built> claimed_;
  std::deque<Built> published_;
};

void Step(Input& input, HostilePeer& peer, Victim& victim) {
  const uint8_t step = input.Byte() % (static_cast<uint8_t>(PeerStep::kLast) + 1);
  switch (static_cast<PeerStep>(step)) {
    case PeerStep::kSlotHeader:
      return peer.WriteSlotHeader(input);
    case PeerStep::kPayload:
      return peer.WritePayload(input);
    case PeerStep::kDescriptor:
      return peer.WriteDescriptor(input);
    case PeerStep::kControlWord:
      return peer.WriteControlWord(input);
    case PeerStep::kSlabWord:
      return peer.WriteSlabWord(input);
    case PeerStep::kConsumed:
      return peer.WriteConsumed(input);
    case PeerStep::kReceipt:
      return peer.WriteReceipt(input);
    case PeerStep::kFlags:
      return peer.WriteFlags(input);
    case PeerStep::kAddSlab:
      return peer.AddSlab(input);
    case PeerStep::kDropSlab:
      return peer.DropSlab(input);
    case PeerStep::kFdsNews:
      return peer.SendFdsNews(input);
    case PeerStep::kAnyNews:
      return peer.SendAnyNews(input);
    case PeerStep::kRing:
      return peer.Ring(input);
    case PeerStep::kPublish:
      return peer.Publish(input);
    case PeerStep::kTakeHonestly:
      return peer.TakeHonestly();
    case PeerStep::kEndHonestly:
      return peer.EndHonestly();
    case PeerStep::kReadSocket:
      return peer.ReadSocket();
    case PeerStep::kLeave:
      return peer.Leave();
    case PeerStep::kTryReceive:
      return victim.TryReceive();
    case PeerStep::kReceive:
      return victim.Receive();
    case PeerStep::kDropMessage:
      return victim.DropMessage(input.Byte());
    case PeerStep::kClaim:
      return victim.Claim(input.Number(2));
    case PeerStep::kPublishClaim:
      return victim.Publish(input.Byte());
    case PeerStep::kDropClaim:
      return victim.DropClaim(input.Byte());
    case PeerStep::kNotify:
      return victim.channel().Notify().IgnoreError();
    case PeerStep::kFlush:
      return victim.Flush();
    case PeerStep::kEnd:
      return victim.channel().End();
    case PeerStep::kHangUp:
      return victim.channel().HangUp();
    case PeerStep::kArm:
      return AlmostSleep(victim.channel());
    case PeerStep::kTrim:
      static_cast<void>(victim.channel().Trim());
      return;
    case PeerStep::kLook:
      return victim.Look();
  }
}

}  // namespace

absl::Status FuzzPeer(std::span<const uint8_t> bytes) {
  const SameDescriptors same;
  Input input(bytes);
  LinkPair links = MakeLinkPair(kSmallShape, kMostSlabsBytes);
  HostilePeer peer(links.right, *links.left);
  Victim victim(links.left, peer, Options(input.Byte()));
  for (int i = 0; i < kMostSteps && !input.empty(); ++i) {
    Step(input, peer, victim);
  }
  victim.TryReceive();
  victim.Claim(1000);
  victim.Publish(0);
  return victim.Ended();
}

}  // namespace shoal::fuzz
