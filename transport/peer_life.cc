#include "shoal/transport/peer_life.h"

namespace shoal {

// Not inlined: it is called once in many messages, and would cost each of them registers.
void PeerLife::LookIfDue(LookPace& pace, const std::atomic<uint64_t>& consumed) {
  // relaxed: a peer that does something lives, in whatever order that is seen.
  if (pace.IsDue(consumed.load(std::memory_order_relaxed))) {
    link_.doorbell.Look();
  }
}

}  // namespace shoal
