#include "shoal/tests/fuzz/racing_peer_fuzz.h"

#include <memory>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "shoal/tests/fuzz/input.h"
#include "shoal/tests/fuzz/reading.h"
#include "shoal/tests/fuzz/require.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/sender.h"
#include "shoal/transport/shm_channel.h"

namespace shoal::fuzz {
namespace {

using absl::StatusCode;

constexpr int kMostWrites = 64;
constexpr int kMessages = 24;

ChannelOptions Options() {
  ChannelOptions options;
  options.slots = kSmallShape.slots;
  options.loans = kSmallShape.receipts;
  options.slab_bytes = kSmallShape.slab_bytes;
  options.max_slabs_bytes = kSmallShape.slab_bytes;
  options.max_message_words = kMaxFuzzedWords;
  options.reader = kFuzzedReader;
  options.trust = Trust::kNone;
  options.when_full = WhenFull::kFail;
  options.linger = absl::ZeroDuration();
  return options;
}

struct Write {
  volatile uint64_t* word;
  uint64_t value;
};

// In one program in four anywhere in the control region; else only in slabs, so that messages go on
// being received.
std::vector<Write> WritesOf(Input& input, Link& own) {
  auto* control = reinterpret_cast<uint64_t*>(&own.own.control());
  auto* slab = reinterpret_cast<uint64_t*>(FirstSlab(own));
  const bool slabs_only = input.Byte() % 4 != 0;
  std::vector<Write> writes;
  while (!input.empty() && writes.size() < kMostWrites) {
    const size_t at = input.Number(2);
    const uint64_t value = input.Number(8);
    const bool in_control = at % 2 == 0 && !slabs_only;
    uint64_t* const word =
        in_control ? control + at / 2 % (own.own.shape().control_bytes() / sizeof(uint64_t))
                   : slab + at % kSmallSlabWords;
    writes.push_back({.word = word, .value = value});
  }
  return writes;
}

// As another process does: in no order with anything here, unknown to ThreadSanitizer, and also
// where this one's Sender has dropped a block.
__attribute__((no_sanitize("thread", "address"))) void Scribble(const std::vector<Write>& writes,
                                                                const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    for (const Write& write : writes) {
      *write.word = *write.word ^ write.value;
    }
  }
}

void PublishSome(Sender& sender, size_t data_bytes) {
  const BodyRef body = sender.Claim(0);
  BuildBlob(body->builder(), 1, data_bytes);
  // The peer's own check of what the victim wrote; the victim is honest, and the ring may be full.
  sender.Offer(*body).status().IgnoreError();
  sender.Abandon();
}

absl::Status ReceiveOne(ShmChannel& channel) {
  auto received = channel.TryReceive();
  RequireOneOf(received.status(),
               {StatusCode::kUnavailable, StatusCode::kDataLoss, StatusCode::kResourceExhausted},
               "receiving fails as channel.h says");
  if (received.ok() && *received) {
    const uint64_t first = ReadAll(**received);
    Require(ReadAll(**received) == first, "a copy is not changed by the peer");
  }
  return received.status();
}

}  // namespace

absl::Status FuzzRacingPeer(std::span<const uint8_t> bytes) {
  const SameDescriptors same;
  Input input(bytes);
  LinkPair links = MakeLinkPair();
  Sender sender(links.right);
  ShmChannel channel(links.left, Options());
  const std::vector<Write> writes = WritesOf(input, *links.right);
  std::jthread scribbler([&](const std::stop_token& stop) { Scribble(writes, stop); });
  absl::Status status;
  for (int i = 0; i < kMessages && status.ok(); ++i) {
    PublishSome(sender, 100 + 300 * static_cast<size_t>(i));
    status = ReceiveOne(channel);
  }
  scribbler.request_stop();
  scribbler.join();
  return status.ok() ? absl::DeadlineExceededError("nothing is wrong") : status;
}

}  // namespace shoal::fuzz
