// Boost.Interprocess, two message queues in shared memory.
#pragma once

#include <optional>

#include "shoal/bench/peers/peer_work.h"

namespace shoal {

// Nothing where it was not installed when this was built.
std::optional<PeerLibrary> BoostPeer();

}  // namespace shoal
