// The libraries that Shoal is measured beside.
#pragma once

#include <vector>

#include "shoal/bench/peers/peer_work.h"

namespace shoal {

// Those that were installed when this was built.
std::vector<PeerLibrary> PeerLibraries();

}  // namespace shoal
