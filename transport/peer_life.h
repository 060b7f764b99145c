// Whether the peer is gone, for a caller that never sleeps, where that would show.
#pragma once

#include <atomic>
#include <cstdint>

#include "shoal/transport/link.h"
#include "shoal/transport/look_pace.h"

namespace shoal {

// Each member counts its own calls and looks at the connection now and then: see LookPace. None
// reads the socket, whose packets may be the wake-up of an event loop.
class PeerLife {
 public:
  // `link` must outlive this.
  explicit PeerLife(Link& link) : link_(link) {}

  // The publishing thread's, at each message and notice: a few instructions.
  bool HungUpAsPublished() { return HungUp(publish_, link_.theirs.control().consumed.value); }

  // The receiving thread's, each time that nothing came.
  bool HungUpAsNothingCame() { return HungUp(receive_, link_.own.control().consumed.value); }

  // The receiving thread's, each time that it only looked. Cheaper, for spins.
  bool HungUpAsLookedAt() { return HungUp(look_, link_.own.control().consumed.value); }

  // Any thread's, before it gives up: always looks.
  bool HungUpNow() {
    link_.doorbell.Look();
    return link_.doorbell.hung_up();
  }

 private:
  bool HungUp(LookPace& pace, const std::atomic<uint64_t>& sign_of_life) {
    // relaxed: a peer that consumes or publishes lives, in whatever order that is seen.
    if (pace.Count() && pace.IsDue(sign_of_life.load(std::memory_order_relaxed))) {
      link_.doorbell.Look();
    }
    return link_.doorbell.hung_up();
  }

  Link& link_;
  LookPace publish_{16};
  LookPace receive_{1};
  LookPace look_{8};
};

}  // namespace shoal
