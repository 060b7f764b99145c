// What every kind of channel answers alike.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "shoal/transport/message.h"
#include "shoal/transport/message_limit.h"
#include "shoal/transport/options.h"
#include "shoal/transport/peer.h"

namespace shoal {

// What a message may be that is published.
struct PublishLimits {
  PublishLimits(MessageLimit its_own, uint64_t the_peers_words, uint32_t its_max_fds)
      : own(its_own),
        peers_words(the_peers_words),
        words(std::min(own.words, peers_words)),
        max_fds(its_max_fds) {}

  MessageLimit own;      // this side's choice
  uint64_t peers_words;  // what the peer accepts, as far as it is known
  uint64_t words;        // the lower of the two
  uint32_t max_fds;
};

// kFailedPrecondition: End() was called, which `ending` tells, or the message was published before.
// kInvalidArgument: the message is empty, has no root, or is above a limit.
absl::Status CheckPublishable(const OutgoingMessage& message, const Peer& peer, bool ending,
                              const PublishLimits& limits);

// kFailedPrecondition: a call of one thread at a time was made while another thread is in one, or
// on another thread than the one that the channel is bound to. `doing` is "publish" or "receive".
absl::Status TwoThreads(const char* doing, const Peer& peer);
absl::Status OffThread(const Peer& peer);

// kFailedPrecondition: a message was changed that had been published to `peer`.
absl::Status ChangedAfterPublish(const Peer& peer);

// kResourceExhausted: with this message, `bytes` would wait in this process.
absl::Status TooMuchPending(uint64_t bytes, const Peer& peer, const ChannelOptions& options);

// kInvalidArgument: the message lies in the memory of another channel.
absl::Status OfAnotherChannel(const Peer& peer);

// kDeadlineExceeded, of Flush(), Receive() and Accept().
absl::Status StillPending(uint64_t bytes, const Peer& peer);
absl::Status NothingCame(const Peer& peer, absl::Duration waited);
absl::Status NoClientCame(const std::string& address, absl::Duration waited);

}  // namespace shoal
