// What is fuzzed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "shoal/tests/fuzz/handshake_fuzz.h"
#include "shoal/tests/fuzz/peer_fuzz.h"
#include "shoal/tests/fuzz/racing_peer_fuzz.h"
#include "shoal/tests/fuzz/seeds.h"
#include "shoal/tests/fuzz/stream_fuzz.h"

namespace shoal::fuzz {

struct Target {
  const char* name;  // of its libFuzzer binary, and of the folder of its corpus
  absl::Status (*run)(std::span<const uint8_t> bytes);
  std::vector<Seed> (*seeds)();
  int mutations;  // that the short form runs: some seconds
};

inline constexpr Target kTargets[] = {
    {.name = "handshake", .run = FuzzHandshake, .seeds = HandshakeSeeds, .mutations = 2000},
    {.name = "peer", .run = FuzzPeer, .seeds = PeerSeeds, .mutations = 2000},
    {.name = "racing_peer", .run = FuzzRacingPeer, .seeds = RacingPeerSeeds, .mutations = 100},
    {.name = "stream", .run = FuzzStream, .seeds = StreamSeeds, .mutations = 2000},
};

}  // namespace shoal::fuzz
