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
  bool HungUpAsPublished() {
    if (publish_.Count()) {
      LookIfDue(publish_, link_.theirs.control().consumed.value);
    }
    return link_.doorbell.hung_up();
  }

  // The receiving thread's, each time that nothing came.
  bool HungUpAsNothingCame() {
    if (receive_.Count()) {
      LookIfDue(receive_, link_.own.control().consumed.value);
    }
    return link_.doorbell.hung_up();
  }

  // The receiving thread's, each time that it only looked. Cheaper, for spins.
  bool HungUpAsLookedAt() {
    if (look_.Count()) {
      LookIfDue(look_, link_.own.control().consumed.value);
    }
    return link_.doorbell.hung_up();
  }

  // Any thread's, before it gives up: always looks.
  bool HungUpNow() {
    link_.doorbell.Look();
    return link_.doorbell.hung_up();
  }

 private:
  // A peer shows life by consuming, or by publishing what is consumed here.
  void LookIfDue(LookPace& pace, const std::atomic<uint64_t>& consumed);

  Link& link_;
  LookPace publish_{8};
  LookPace receive_{1};
  LookPace look_{8};
};

}  // namespace shoal
