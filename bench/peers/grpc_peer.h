// gRPC, unary calls of opaque bytes over a Unix socket in the abstract namespace.
#pragma once

#include <optional>

#include "shoal/bench/peers/peer_work.h"

namespace shoal {

// Nothing where it was not installed when this was built.
std::optional<PeerLibrary> GrpcPeer();

}  // namespace shoal
