#include "shoal/transport/trust.h"

namespace shoal {

Trust TrustIn(const Peer& peer, const ChannelOptions& options) {
  return options.trust.value_or(peer.same_user ? Trust::kPeer : Trust::kNone);
}

}  // namespace shoal
