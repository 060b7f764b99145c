// A peer that sends what it likes over a stream socket.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"

namespace shoal::fuzz {

// What a step of a program does; its operands are in stream_fuzz.cc.
enum class StreamStep : uint8_t {
  kSend,       // bytes, in one piece
  kSendTable,  // the table of a message, of sizes that the program chooses
  kRepeat,     // one word, over and over
  kTryReceive,
  kReceive,
  kReadable,
  kPublish,
  kFlush,
  kArm,
  kRead,  // the peer reads
  kEnd,   // the victim says that nothing follows
  kHangUp,
  kStop,   // the peer says so
  kLeave,  // the peer closes its socket
  kDrop,   // the victim lets go of a message
  kLast = kDrop,
};

// Runs the program `bytes`, whose first byte chooses what the victim does when there is no room.
// Returns the error with which its receiving ended, kDeadlineExceeded if it has not.
absl::Status FuzzStream(std::span<const uint8_t> bytes);

}  // namespace shoal::fuzz
