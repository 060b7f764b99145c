// nng, req and rep over its abstract:// sockets.
#pragma once

#include <optional>

#include "shoal/bench/peers/peer_work.h"

namespace shoal {

// Nothing where it was not installed when this was built.
std::optional<PeerLibrary> NngPeer();

}  // namespace shoal
