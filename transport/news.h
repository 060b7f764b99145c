// What one end of a running channel tells the other over the connection's socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "absl/container/inlined_vector.h"
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

// Packets with descriptors of messages that may wait for the peer: few enough for the socket's
// buffer, which holds a few hundred.
inline constexpr size_t kMaxFdPacketsOnTheWay = 16;

// Descriptors of a message.
struct MessageFds {
  absl::InlinedVector<UniqueFd, 1> fds;
};

using News = std::variant<SlabAdded, SlabDropped, MessageFds>;

// Tells the peer. Never block; kResourceExhausted when the peer does not read its socket, or when
// too many descriptors are on their way in the system; kUnavailable when the peer is gone;
// kInvalidArgument when a descriptor is not open. Descriptors stay the caller's.
absl::Status SendSlabAdded(Doorbell& doorbell, uint32_t number, uint64_t bytes, int fd);
absl::Status SendSlabDropped(Doorbell& doorbell, uint32_t number);
absl::Status SendMessageFds(Doorbell& doorbell, std::span<const int> fds);

// How many descriptors news of these bytes can have: that of a slab one, that of a message
// `per_message`, any other none. For IncomingFdLimits.
size_t MostFdsOfNews(std::span<const std::byte> news, size_t per_message);

// What `packet` says, not yet believed. kDataLoss when it says nothing that this version knows;
// kPermissionDenied as FdRefused().
absl::StatusOr<News> ParseNews(Doorbell::Packet packet, const Peer& peer);

}  // namespace shoal
