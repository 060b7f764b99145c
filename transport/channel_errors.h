// What every kind of channel answers alike.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "shoal/transport/message.h"
#include "shoal/transport/options.h"
#include "shoal/transport/peer.h"

namespace shoal {

// kFailedPrecondition: End() was called, which `ending` tells. kInvalidArgument: the message is
// empty, above ChannelOptions::max_message_words, or has more than `max_fds` descriptors.
absl::Status CheckPublishable(OutgoingMessage& message, const Peer& peer, bool ending,
                              uint32_t max_fds, const ChannelOptions& options);

// kResourceExhausted: with this message, `bytes` would wait in this process.
absl::Status TooMuchPending(uint64_t bytes, const Peer& peer, const ChannelOptions& options);

// kInvalidArgument: the message lies in the memory of another channel.
absl::Status OfAnotherChannel(const Peer& peer);

// kDeadlineExceeded, of Flush(), Receive() and Accept().
absl::Status StillPending(uint64_t bytes, const Peer& peer);
absl::Status NothingCame(const Peer& peer, absl::Duration waited);
absl::Status NoClientCame(const std::string& address, absl::Duration waited);

}  // namespace shoal
