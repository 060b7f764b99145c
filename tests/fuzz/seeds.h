// Programs to begin with: conversations of honest peers, and each known attack once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace shoal::fuzz {

struct Seed {
  std::string name;
  std::vector<uint8_t> bytes;
  absl::StatusCode outcome;  // of the target's function
};

std::vector<Seed> HandshakeSeeds();
std::vector<Seed> PeerSeeds();
std::vector<Seed> RacingPeerSeeds();
std::vector<Seed> StreamSeeds();

}  // namespace shoal::fuzz
