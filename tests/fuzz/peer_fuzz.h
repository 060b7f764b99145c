// A peer that writes what it likes into all that its victim reads: its control region, its slabs
// and the connection's socket, between any two steps of the victim.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"

namespace shoal::fuzz {

// What a step of a program does; its operands are in peer_fuzz.cc and hostile_peer.cc.
enum class PeerStep : uint8_t {
  // the peer's
  kSlotHeader,    // of the slot that the victim reads next, or of one near it
  kPayload,       // a word of such a slot
  kDescriptor,    // a block's, in such a slot
  kControlWord,   // any word of the control region
  kSlabWord,      // any word of the first slab
  kConsumed,      // near what the victim has published, or any number
  kReceipt,       // of any loan, in any place
  kFlags,         // parked, starved, cpu, notices
  kAddSlab,       // news of a slab, with a descriptor of any kind
  kDropSlab,      // news that one is no more
  kFdsNews,       // news of descriptors for a message
  kAnyNews,       // a packet of any bytes, with descriptors
  kRing,          // the doorbell, up to 255 times
  kPublish,       // an honest message
  kTakeHonestly,  // receives one, and gives it back
  kEndHonestly,
  kReadSocket,
  kLeave,
  // the victim's
  kTryReceive,
  kReceive,
  kDropMessage,
  kClaim,
  kPublishClaim,
  kDropClaim,
  kNotify,
  kFlush,
  kEnd,
  kHangUp,
  kArm,
  kTrim,
  kLook,
  kLast = kLook,
};

// Runs the program `bytes`. Its first byte chooses the victim's options: bit 0 trusts the peer,
// bits 1 and 2 are WhenFull. Returns what the victim found wrong when it published or, if that was
// nothing, the error with which its receiving ended; kDeadlineExceeded if neither has.
absl::Status FuzzPeer(std::span<const uint8_t> bytes);

}  // namespace shoal::fuzz
