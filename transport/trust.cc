#include "shoal/transport/trust.h"

#include <unistd.h>

namespace shoal {

Trust TrustIn(const Peer& peer, const ChannelOptions& options) {
  return options.trust.value_or(peer.uid == geteuid() ? Trust::kPeer : Trust::kNone);
}

}  // namespace shoal
