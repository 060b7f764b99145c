// How the messages of a peer are read where ChannelOptions::trust does not say.
#pragma once

#include "shoal/transport/options.h"
#include "shoal/transport/peer.h"

namespace shoal {

Trust TrustIn(const Peer& peer, const ChannelOptions& options);

}  // namespace shoal
