// The sizes of outbox that channels are tested with.
#pragma once

#include <string>

#include "shoal/transport/options.h"

namespace shoal::conformance {

// "Default", or "Smallest": all limits at the lowest that is allowed.
inline ChannelOptions OptionsFor(const std::string& outbox) {
  ChannelOptions options;
  if (outbox == "Smallest") {
    options.slots = ChannelOptions::kMinSlots;
    options.loans = ChannelOptions::kMinLoans;
    options.slab_bytes = ChannelOptions::kMinSlabBytes;
    options.max_slabs_bytes = ChannelOptions::kMinSlabBytes;
  }
  return options;
}

}  // namespace shoal::conformance
