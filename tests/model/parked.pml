// ParkedFlag and RingOnce (transport/parked_flag.h), and the socket between two processes.
// After memory.pml.

#ifndef RAISE
#define RAISE SEQ_CST
#endif
#ifndef MUST_RING
#define MUST_RING SEQ_CST
#endif

// The number of the sleep: new each time.
inline Raise(thread, flag, sleeps) {
  sleeps++;
#ifdef NO_EPOCHS
  Store(thread, flag, 1, RAISE)
#else
  Store(thread, flag, sleeps, RAISE)
#endif
}

inline Lower(thread, flag) {
  Store(thread, flag, 0, RELAXED)
}

// The socket holds one ring, the least that a socket can: a ring that finds it full is lost.
inline Ring(socket) {
  if
  :: atomic { nfull(socket) -> socket!1 }
  :: atomic { full(socket) -> skip }
  fi
}

// RingOnce::MustRing, and the ring.
inline RingIfRaised(thread, flag, sleep, rung, socket) {
  Load(thread, flag, sleep, MUST_RING);
  if
  :: sleep != 0 && rung != sleep ->
    rung = sleep;
    sleep = 0;
    Ring(socket)
  :: else -> sleep = 0
  fi
}
