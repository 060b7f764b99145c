// What one end of a running channel tells the other over the connection's socket.
#pragma once

#include <cstdint>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "shoal/transport/doorbell.h"
#include "shoal/transport/peer.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// The peer's outbox has one more slab.
struct SlabAdded {
  uint32_t number;
  uint64_t bytes;
  UniqueFd fd;
};

// And this one no more.
struct SlabDropped {
  uint32_t number;
};

using News = std::variant<SlabAdded, SlabDropped>;

// Tells the peer. Never block; kResourceExhausted when the peer does not read its socket, and
// kUnavailable when it is gone. `fd` stays the caller's.
absl::Status SendSlabAdded(Doorbell& doorbell, uint32_t number, uint64_t bytes, int fd);
absl::Status SendSlabDropped(Doorbell& doorbell, uint32_t number);

// What `packet` says, not yet believed. kDataLoss when it says nothing that this version knows.
absl::StatusOr<News> ParseNews(Doorbell::Packet packet, const Peer& peer);

}  // namespace shoal
