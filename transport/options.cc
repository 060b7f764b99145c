#include "shoal/transport/options.h"

#include <unistd.h>

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

}  // namespace

absl::Status Validate(const ChannelOptions& options) {
  using O = ChannelOptions;
  for (const Range& range : {
           Range{"slots", options.slots, O::kMinSlots, O::kMaxSlots},
           Range{"loans", options.loans, O::kMinLoans, O::kMaxLoans},
           Range{"slab_bytes", options.slab_bytes, O::kMinSlabBytes, O::kMaxSlabBytes},
           Range{"max_message_words", options.max_message_words, 1, O::kMaxMessageWords},
       }) {
    if (range.value < range.lowest || range.value > range.highest) {
      return OutOfRange(range);
    }
  }
  if (!std::has_single_bit(options.slots) || !std::has_single_bit(options.loans)) {
    return absl::InvalidArgumentError(absl::StrCat("ChannelOptions::slots (", options.slots,
                                                   ") and ::loans (", options.loans,
                                                   ") must be powers of two"));
  }
  const size_t page = sysconf(_SC_PAGESIZE);
  if (options.slab_bytes % page != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("ChannelOptions::slab_bytes is ", options.slab_bytes,
                     "; it must be a multiple of the page size, ", page));
  }
  if (options.spin < absl::ZeroDuration() || options.connect_timeout < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        "ChannelOptions::spin and ::connect_timeout must not be negative");
  }
  return absl::OkStatus();
}

}  // namespace shoal
