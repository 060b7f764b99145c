#include "shoal/tests/fuzz/stream_fuzz.h"

#include <sys/socket.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "shoal/tests/fuzz/input.h"
#include "shoal/tests/fuzz/reading.h"
#include "shoal/tests/fuzz/require.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/test_socket.h"

namespace shoal::fuzz {
namespace {

using absl::StatusCode;

constexpr int kMostSteps = 64;
constexpr size_t kMostBytes = 4096;
constexpr size_t kMostMessages = 8;  // that the victim holds

ChannelOptions Options(uint8_t byte) {
  ChannelOptions options;
  options.max_message_words = kMaxFuzzedWords;
  options.when_full = static_cast<WhenFull>(byte % 3);
  options.max_pending_bytes = 1 << 20;
  options.linger = absl::ZeroDuration();
  options.reader = kFuzzedReader;
  return options;
}

class Victim {
 public:
  explicit Victim(std::unique_ptr<Channel> channel) : channel_(std::move(channel)) {}

  void TryReceive() {
    auto received = channel_->TryReceive();
    if (Told(received.status()) && *received) {
      Take(**std::move(received));
    }
  }

  void Receive() {
    auto received = channel_->Receive(absl::ZeroDuration());
    if (absl::IsDeadlineExceeded(received.status())) {
      return;
    }
    if (Told(received.status())) {
      Take(*std::move(received));
    }
  }

  void Publish(size_t data_bytes) {
    OutgoingMessage message = channel_->Claim();
    BuildBlob(message.builder(), 1, data_bytes);
    RequireOneOf(
        channel_->Publish(std::move(message), absl::ZeroDuration()),
        {StatusCode::kUnavailable, StatusCode::kResourceExhausted, StatusCode::kDeadlineExceeded,
         StatusCode::kInvalidArgument, StatusCode::kFailedPrecondition},
        "publishing fails as channel.h says");
  }

  void Flush() {
    RequireOneOf(channel_->Flush(absl::ZeroDuration()),
                 {StatusCode::kUnavailable, StatusCode::kDeadlineExceeded},
                 "flushing fails as channel.h says");
  }

  void Drop() {
    if (!held_.empty()) {
      held_.pop_front();
    }
  }

  Channel& channel() { return *channel_; }
  const absl::Status& ended() const { return ended_; }

 private:
  bool Told(const absl::Status& status) {
    RequireOneOf(status,
                 {StatusCode::kUnavailable, StatusCode::kDataLoss, StatusCode::kResourceExhausted},
                 "receiving fails as channel.h says");
    Require(absl::IsDeadlineExceeded(ended_) || ended_ == status, "an error stays what it was");
    ended_ = status.ok() ? ended_ : status;
    return status.ok();
  }

  void Take(IncomingMessage message) {
    ReadAll(message);
    held_.push_back(std::move(message));
    if (held_.size() > kMostMessages) {
      held_.pop_front();
    }
  }

  std::unique_ptr<Channel> channel_;
  absl::Status ended_ = absl::DeadlineExceededError("nothing came");
  std::deque<IncomingMessage> held_;
};

void Send(int socket, std::span<const uint8_t> bytes) {
  send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void SendTable(int socket, Input& input) {
  const uint32_t segments = static_cast<uint32_t>(input.Byte() % 16);
  std::vector<uint32_t> table{segments};
  for (uint32_t i = 0; i <= segments; ++i) {
    table.push_back(static_cast<uint32_t>(input.Number(2)));
  }
  table.resize((table.size() + 1) / 2 * 2);
  Send(socket, {reinterpret_cast<const uint8_t*>(table.data()), table.size() * sizeof(uint32_t)});
}

void Repeat(int socket, Input& input) {
  const std::vector<uint64_t> words(input.Number(2) % 8192, input.Number(8));
  Send(socket, {reinterpret_cast<const uint8_t*>(words.data()), words.size() * sizeof(uint64_t)});
}

void Read(int socket) {
  char bytes[8192];
  recv(socket, bytes, sizeof(bytes), MSG_DONTWAIT);
}

void Step(Input& input, UniqueFd& socket, Victim& victim) {
  const uint8_t step = input.Byte() % (static_cast<uint8_t>(StreamStep::kLast) + 1);
  switch (static_cast<StreamStep>(step)) {
    case StreamStep::kSend:
      return Send(socket.get(), input.Block(kMostBytes));
    case StreamStep::kSendTable:
      return SendTable(socket.get(), input);
    case StreamStep::kRepeat:
      return Repeat(socket.get(), input);
    case StreamStep::kTryReceive:
      return victim.TryReceive();
    case StreamStep::kReceive:
      return victim.Receive();
    case StreamStep::kReadable:
      static_cast<void>(victim.channel().Readable());
      return;
    case StreamStep::kPublish:
      return victim.Publish(input.Number(2));
    case StreamStep::kFlush:
      return victim.Flush();
    case StreamStep::kArm:
      return AlmostSleep(victim.channel());
    case StreamStep::kRead:
      return Read(socket.get());
    case StreamStep::kEnd:
      return victim.channel().End();
    case StreamStep::kHangUp:
      return victim.channel().HangUp();
    case StreamStep::kStop:
      shutdown(socket.get(), SHUT_WR);
      return;
    case StreamStep::kLeave:
      socket = UniqueFd();
      return;
    case StreamStep::kDrop:
      return victim.Drop();
  }
}

}  // namespace

absl::Status FuzzStream(std::span<const uint8_t> bytes) {
  const SameDescriptors same;
  Input input(bytes);
  ChannelAndSocket ends(Options(input.Byte()));
  Victim victim(std::move(ends.channel));
  for (int i = 0; i < kMostSteps && !input.empty(); ++i) {
    Step(input, ends.socket, victim);
  }
  victim.TryReceive();
  return victim.ended();
}

}  // namespace shoal::fuzz
