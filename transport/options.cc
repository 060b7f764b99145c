#include "shoal/transport/options.h"

#include <unistd.h>

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"

namespace shoal {
namespace {

struct Range {
  const char* option;
  uint64_t value;
  uint64_t lowest;
  uint64_t highest;
};

absl::Status OutOfRange(const Range& range) {
  return absl::InvalidArgumentError(absl::StrCat("ChannelOptions::", range.option, " is ",
                                                 range.value, "; allowed is ", range.lowest, " to ",
                                                 range.highest));
}

absl::Status NotAPowerOfTwo(const char* option, uint64_t value) {
  return absl::InvalidArgumentError(
      absl::StrCat("ChannelOptions::", option, " is ", value, "; it must be a power of two"));
}

absl::Status Negative(const char* option, absl::Duration value) {
  return absl::InvalidArgumentError(absl::StrCat("ChannelOptions::", option, " is ",
                                                 absl::FormatDuration(value),
                                                 "; it must not be negative"));
}

}  // namespace

absl::Status Validate(const ChannelOptions& options) {
  using O = ChannelOptions;
  for (const Range& range : {
           Range{"slots", options.slots, O::kMinSlots, O::kMaxSlots},
           Range{"loans", options.loans.value_or(O::kMinLoans), O::kMinLoans, O::kMaxLoans},
           Range{"slab_bytes", options.slab_bytes, O::kMinSlabBytes, O::kMaxSlabBytes},
           Range{"max_slabs_bytes", options.max_slabs_bytes, options.slab_bytes, O::kMaxSlabsBytes},
           Range{"max_peer_slabs_bytes", options.max_peer_slabs_bytes, O::kMinSlabBytes,
                 O::kMaxSlabsBytes},
           Range{"max_message_words", options.max_message_words.value_or(1), 1,
                 O::kMaxMessageWords},
           Range{"reader.traversalLimitInWords",
                 options.reader ? options.reader->traversalLimitInWords : 1, 1, UINT64_MAX},
           Range{"protocol.size()", options.protocol.size(), 0, O::kMaxProtocolBytes},
           Range{"max_fds_per_message", options.max_fds_per_message, 0, O::kMaxFdsPerMessage},
       }) {
    if (range.value < range.lowest || range.value > range.highest) {
      return OutOfRange(range);
    }
  }
  if (!std::has_single_bit(options.slots)) {
    return NotAPowerOfTwo("slots", options.slots);
  }
  if (options.loans && !std::has_single_bit(*options.loans)) {
    return NotAPowerOfTwo("loans", *options.loans);
  }
  const size_t page = sysconf(_SC_PAGESIZE);
  if (options.slab_bytes % page != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("ChannelOptions::slab_bytes is ", options.slab_bytes,
                     "; it must be a multiple of the page size, ", page));
  }
  if (options.spin < absl::ZeroDuration()) {
    return Negative("spin", options.spin);
  }
  if (options.slab_idle_time < absl::ZeroDuration()) {
    return Negative("slab_idle_time", options.slab_idle_time);
  }
  if (options.linger < absl::ZeroDuration()) {
    return Negative("linger", options.linger);
  }
  if (options.connect_timeout < absl::ZeroDuration()) {
    return Negative("connect_timeout", options.connect_timeout);
  }
  return absl::OkStatus();
}

uint32_t LoansOf(const ChannelOptions& options) {
  constexpr uint32_t kLoansPerSlot = 4;
  return options.loans.value_or(
      std::min(std::max(ChannelOptions::kDefaultLoans, kLoansPerSlot * options.slots),
               ChannelOptions::kMaxLoans));
}

}  // namespace shoal
