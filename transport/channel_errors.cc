#include "shoal/transport/channel_errors.h"

#include "absl/strings/str_cat.h"

namespace shoal {

absl::Status CheckPublishable(OutgoingMessage& message, const Peer& peer, bool ending,
                              uint32_t max_fds, const ChannelOptions& options) {
  if (ending) {
    return absl::FailedPreconditionError(absl::StrCat(
        "End() was called on the channel to ", peer.Describe(), "; nothing can be published"));
  }
  if (!message.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a message for ", peer.Describe(), " was published or moved away before; claim another"));
  }
  const uint64_t words = message.SizeInWords();
  if (words > options.max_message_words) {
    return absl::InvalidArgumentError(
        absl::StrCat("a message of ", words, " words for ", peer.Describe(),
                     " is above ChannelOptions::max_message_words, ", options.max_message_words,
                     "; raise it on both sides, or send less at a time"));
  }
  if (const size_t fds = message.body()->fds().size(); fds > max_fds) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a message for ", peer.Describe(), " has ", fds, " descriptors; the peer takes at most ",
        max_fds, ": raise its ChannelOptions::max_fds_per_message, over shm:"));
  }
  return absl::OkStatus();
}

absl::Status TooMuchPending(uint64_t bytes, const Peer& peer, const ChannelOptions& options) {
  return absl::ResourceExhaustedError(
      absl::StrCat(bytes, " bytes would wait for ", peer.Describe(),
                   " to read, above ChannelOptions::max_pending_bytes, ", options.max_pending_bytes,
                   "; raise it, or send less than the peer reads"));
}

absl::Status OfAnotherChannel(const Peer& peer) {
  return absl::InvalidArgumentError(
      absl::StrCat("a message for ", peer.Describe(),
                   " was claimed from another channel; claim one from this, and copy its root"));
}

absl::Status StillPending(uint64_t bytes, const Peer& peer) {
  return absl::DeadlineExceededError(
      absl::StrCat(bytes, " bytes still wait for ", peer.Describe(), " to read"));
}

absl::Status NothingCame(const Peer& peer, absl::Duration waited) {
  return absl::DeadlineExceededError(absl::StrCat("no message came from ", peer.Describe(),
                                                  " within ", absl::FormatDuration(waited)));
}

absl::Status NoClientCame(const std::string& address, absl::Duration waited) {
  return absl::DeadlineExceededError(
      absl::StrCat("no client connected to ", address, " within ", absl::FormatDuration(waited)));
}

}  // namespace shoal
