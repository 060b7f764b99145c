// The sizes of outbox that RPC is tested with.
#pragma once

#include <string>

#include "shoal/transport/options.h"

namespace shoal {

// "default", or "smallest": the smallest that is allowed.
inline ChannelOptions EchoOptions(const std::string& size) {
  ChannelOptions options;
  if (size == "smallest") {
    options.slots = ChannelOptions::kMinSlots;
    options.loans = ChannelOptions::kMinLoans;
    options.slab_bytes = ChannelOptions::kMinSlabBytes;
    options.max_slabs_bytes = ChannelOptions::kMinSlabBytes;
  }
  return options;
}

}  // namespace shoal
