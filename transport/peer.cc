#include "shoal/transport/peer.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace shoal {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

std::string Peer::Describe() const {
  return pid > 0 ? absl::StrCat(address, " (pid ", pid, ")")
                 : absl::StrCat(address, " (pid unknown)");
}

absl::Status PeerGone(const Peer& peer) {
  return absl::UnavailableError(absl::StrCat(
      "the peer at ", peer.Describe(),
      " is gone: its process died or dropped the connection; connect again once it is back"));
}

absl::Status PeerClosed(const Peer& peer) {
  return absl::UnavailableError(
      absl::StrCat("the peer at ", peer.Describe(), " closed the channel"));
}

absl::Status ChannelOfParent(const Peer& peer, pid_t owner) {
  return absl::FailedPreconditionError(absl::StrCat(
      "the channel to ", peer.Describe(), " belongs to process ", owner,
      ", which forked this one, process ", getpid(), "; connect anew to have one of its own"));
}

absl::Status CorruptPeer(const Peer& peer, std::string_view field, uint64_t value,
                         std::string_view bound) {
  return absl::DataLossError(absl::StrCat("the peer at ", peer.Describe(), " wrote ", value, " as ",
                                          View(field), ", which must be ", View(bound),
                                          "; the connection is closed"));
}

}  // namespace shoal
