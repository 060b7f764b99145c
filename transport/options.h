// What a user may choose for a channel.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "capnp/message.h"

namespace shoal {

// What `Publish` does when the ring has no room.
enum class WhenFull {
  kBlock,  // waits until the peer has read, or the deadline passes
  kFail,   // returns kResourceExhausted at once; the message stays with the caller
  kSpill,  // keeps the message in this process and delivers it in order as room comes
};

// Each side chooses for the outbox that it writes; the two sides need not agree. A value outside
// its range is refused with kInvalidArgument when the channel is made, never adjusted in silence.
struct ChannelOptions {
  static constexpr uint32_t kMinSlots = 16;
  static constexpr uint32_t kMaxSlots = 1u << 16;
  static constexpr uint32_t kMinLoans = 16;
  static constexpr uint32_t kMaxLoans = 1u << 16;
  static constexpr size_t kMinSlabBytes = size_t{64} << 10;
  static constexpr size_t kMaxSlabBytes = size_t{16} << 30;
  static constexpr uint64_t kMaxMessageWords = uint64_t{1} << 29;

  // Slots of 256 bytes in the ring: how many small messages may wait to be read. A power of two.
  uint32_t slots = 256;

  // Blocks of the peer's that this side may hold unreleased at a time. A power of two. A peer that
  // has lent so many sends what comes next in fragments, which are copied.
  uint32_t loans = 1024;

  // Bytes of shared memory for messages above 31 words, allocated when the channel is made. A
  // multiple of the page size.
  size_t slab_bytes = size_t{8} << 20;

  // The largest message that is sent or accepted, in words of 8 bytes.
  uint64_t max_message_words = kMaxMessageWords;

  // What Cap'n Proto's readers of received messages allow. Its own default bounds a traversal to 64
  // MiB; here every message that may be received may be read once.
  capnp::ReaderOptions reader = {.traversalLimitInWords = kMaxMessageWords, .nestingLimit = 64};

  // How long a wait looks at the ring before it sleeps; the ring adapts below this limit. From zero
  // (always sleep at once) to infinite (never sleep). Waking a sleeping peer costs 25 us to 50 us
  // across CPUs, so a budget below that makes both sides sleep at every message.
  absl::Duration spin = absl::Microseconds(50);

  WhenFull when_full = WhenFull::kBlock;

  // Bytes that may wait in this process under WhenFull::kSpill.
  uint64_t max_pending_bytes = uint64_t{1} << 30;

  // How long `Connect` waits for a server that is not there yet, and either side for the other's
  // half of the handshake.
  absl::Duration connect_timeout = absl::Seconds(5);
};

// kInvalidArgument names the first option that is out of range, its value and its range.
absl::Status Validate(const ChannelOptions& options);

}  // namespace shoal
