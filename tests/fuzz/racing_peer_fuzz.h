// A peer that goes on writing while its victim reads.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"

namespace shoal::fuzz {

// A thread of the peer's writes words into its control region, its ring and its slab, as the
// program `bytes` says, over and over, while the victim receives and reads what honest steps of the
// peer have published. The victim trusts nobody: what it reads twice must be the same both times.
// (Under Trust::kPeer the payload that is read in place is Cap'n Proto's to check, which fetches
// pointers twice.) What the victim meets is up to chance. Returns the error with which its
// receiving ended, kDeadlineExceeded if it has not.
absl::Status FuzzRacingPeer(std::span<const uint8_t> bytes);

}  // namespace shoal::fuzz
