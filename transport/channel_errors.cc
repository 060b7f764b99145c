#include "shoal/transport/channel_errors.h"

#include "absl/strings/str_cat.h"

namespace shoal {
namespace {

absl::Status TooLarge(uint64_t words, const Peer& peer, const PublishLimits& limits) {
  if (limits.peers_words < limits.own.words) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a message of ", words, " words for ", peer.Describe(), " is above what that accepts, ",
        limits.peers_words, ", which is the lower of its ChannelOptions::max_message_words and ",
        "ReaderOptions::traversalLimitInWords; raise them there, or send less at a time"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("a message of ", words, " words for ", peer.Describe(), " is above ",
                   limits.own.Describe(), "; raise it on both sides, or send less at a time"));
}

}  // namespace

absl::Status CheckPublishable(const OutgoingMessage& message, const Peer& peer, bool ending,
                              const PublishLimits& limits) {
  if (ending) {
    return absl::FailedPreconditionError(absl::StrCat(
        "End() was called on the channel to ", peer.Describe(), "; nothing can be published"));
  }
  if (!message.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a message for ", peer.Describe(), " was published or moved away before; claim another"));
  }
  if (message.body()->published()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "a message for ", peer.Describe(), " was published before, by another handle; claim ",
        "another, and copy its root"));
  }
  const uint64_t words = message.SizeInWords();
  if (words > limits.words) {
    return TooLarge(words, peer, limits);
  }
  if (words == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a message for ", peer.Describe(), " has no root, so nobody could read it; InitRoot() ",
        "builds one, and Notify() wakes the peer without a message"));
  }
  if (const size_t fds = message.body()->fds().size(); fds > limits.max_fds) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a message for ", peer.Describe(), " has ", fds, " descriptors; the peer takes at most ",
        limits.max_fds, ": raise its ChannelOptions::max_fds_per_message, over shm:"));
  }
  return absl::OkStatus();
}

absl::Status TwoThreads(const char* doing, const Peer& peer) {
  return absl::FailedPreconditionError(absl::StrCat(
      "two threads ", doing, " on the channel to ", peer.Describe(),
      " at a time, and one may; let a mutex guard it, or give each thread a channel of its own"));
}

absl::Status OffThread(const Peer& peer) {
  return absl::FailedPreconditionError(
      absl::StrCat("the channel to ", peer.Describe(),
                   " belongs to the thread of its event loop, and another thread would publish on "
                   "it; have that ",
                   "thread do it, with kj::Executor for instance"));
}

absl::Status ChangedAfterPublish(const Peer& peer) {
  return absl::FailedPreconditionError(
      absl::StrCat("a message that had been published to ", peer.Describe(),
                   " was changed afterwards by a builder that was kept, and the peer may have read "
                   "either; keep ",
                   "no builder, and claim another message"));
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
