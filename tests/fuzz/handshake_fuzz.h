// A peer that greets as it likes.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"

namespace shoal::fuzz {

// What a step of a program does; its operands are in handshake_fuzz.cc, next to what reads them.
enum class HandshakeStep : uint8_t {
  kHello,    // a greeting, whose fields, bytes and descriptors the program chooses
  kRefusal,  // the same
  kBytes,    // a packet of any bytes
  kRegion,   // a word of the peer's control region
  kFinish,   // the victim looks at what came
  kLeave,    // the peer closes its socket
  kEmpty,    // a packet without a byte
  kMessage,  // a message in the ring, if there is a channel
  kPrelude,  // a knock or a welcome
  kLast = kPrelude,
};

// The fields of a greeting that a program may set, as bits.
enum HelloField : uint16_t {
  kMagicField = 1,
  kVersionField = 2,
  kEpochField = 4,
  kSlotsField = 8,
  kReceiptsField = 16,
  kSlabBytesField = 32,
  kPeerSlabsField = 64,
  kMaxFdsField = 128,
  kProtocolField = 256,
  kMaxWordsField = 512,
};

// What comes instead of a greeting's own regions: kinds of FdKind from here on.
inline constexpr uint8_t kControlFd = 0;
inline constexpr uint8_t kSlabFd = 1;
inline constexpr uint8_t kFirstFdKind = 2;

// Runs the program `bytes`, whose first byte is the side that the victim has: 0 a server, 1 a
// client. Returns what the victim said: OK if it has a channel, kDeadlineExceeded if it waits
// still.
absl::Status FuzzHandshake(std::span<const uint8_t> bytes);

}  // namespace shoal::fuzz
