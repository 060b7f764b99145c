// The libraries that Shoal is measured beside.
#pragma once

#include <vector>

#include "shoal/bench/peers/peer_work.h"

namespace shoal {

// Those that were installed when this was built. None with ThreadSanitizer: libraries that were not
// built with it look to it as if they raced, and while they wait it keeps the signal from them that
// should end them.
std::vector<PeerLibrary> PeerLibraries();

}  // namespace shoal
