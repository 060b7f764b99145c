// The packets of a handshake: what they say, and how they are sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "shoal/transport/options.h"
#include "shoal/transport/outbox.h"
#include "shoal/transport/packet.h"
#include "shoal/transport/peer.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

inline constexpr size_t kMaxGreetingBytes = 4096;

// Which side of a connection this process is.
enum class Side { kClient, kServer };

// "the client at shm:ticks (pid 4711)", the one at the other side: both sides hear a refusal, so it
// says which one it means.
std::string TheOther(Side side, const Peer& peer);

// What a hello said, copied out of the packet and not yet believed.
struct Hello {
  uint64_t epoch;
  OutboxShape shape;
  uint64_t peer_slabs_bytes;
  uint32_t max_fds_per_message;
  uint64_t max_message_words;
  std::string claim;
  UniqueFd control;
  UniqueFd slab;
};

// All send over `fd`, the connection's socket, with the effective user id of this process and the
// errors of SendPacket(). A hello to `peer` gives the descriptors of `own` away.
absl::Status SendHello(int fd, Outbox& own, const Peer& peer, const ChannelOptions& options,
                       std::string_view claim = {});
absl::Status SendKnock(int fd);
absl::Status SendWelcome(int fd);

// Tells the client why; it may be gone, and then nobody is left to tell.
void SendRefusal(int fd, const absl::Status& error);

// How many descriptors a greeting of these bytes can have.
size_t MostFdsOfGreeting(std::span<const std::byte> bytes);

// What `packet` says: a hello, or nothing for what precedes one, a knock to a server or a welcome
// to a client. A refusal is an error, as are all other packets: see handshake.h.
absl::StatusOr<std::optional<Hello>> ReadGreeting(Packet& packet, const Peer& peer, Side side,
                                                  const ChannelOptions& options);

}  // namespace shoal
