// The doorbell (transport/doorbell.h): one socket for the two threads of a channel, one of which may
// sleep for a message and the other for room; each also drains now and then. Memory is sequentially
// consistent here; park.pml and room.pml have the stores that are held back.
//
// Never: a thread asleep for ever while what it waits for is there (an invalid end state), because
// another took its ring.

// How often each of the two waits.
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef ROOMS
#define ROOMS 1
#endif

#define MESSAGE 0  // what a thread waits for, and the index of all that is its
#define ROOM 1

chan socket = [1] of { bit };
byte given[2];   // by the peer: messages published, and how often room was given back
byte flags[2];   // parked, starved
byte rings;      // Doorbell::rings_
bool polling;    // Doorbell::polling_
bool locked;     // Doorbell::mutex_
bool wakes[2];   // what drained_ has told the thread since it began to wait

inline Lock() {
  atomic { !locked -> locked = true }
}

inline Unlock() {
  locked = false
}

// Takes all that is in the socket.
inline DrainSocket() {
  atomic {
    if
    :: nempty(socket) -> socket?_; rings++
    :: empty(socket)
    fi
  }
}

inline NotifyAll() {
  d_step { wakes[MESSAGE] = true; wakes[ROOM] = true }
}

inline Poll() {
  nempty(socket)
}

// Doorbell::Drain
inline Drain() {
  Lock();
  if
#ifdef DRAINS_UNDER_A_SLEEPER
  :: true -> DrainSocket()
#else
  :: !polling -> DrainSocket()
  :: else
#endif
  fi;
  Unlock()
}

// Doorbell::Sleep
inline Sleep() {
  Lock();
  if
  :: rings != seen -> Unlock()
#ifndef EACH_POLLS
  :: rings == seen && polling ->
    wakes[which] = false;
    Unlock();
    wakes[which];
    Lock();
    Unlock()
#endif
#ifdef EACH_POLLS
  :: else ->
#else
  :: rings == seen && !polling ->
#endif
    polling = true;
    Unlock();
    Poll();
    Lock();
    DrainSocket();
    polling = false;
#ifndef KEEPS_TO_ITSELF
    NotifyAll();
#endif
    Unlock()
  fi
}

// ShmChannel::Await, for each of the two threads.
proctype Waiter(byte which; byte rounds) {
  byte had;
  byte sleeps;
  byte seen;
  do
  :: had == rounds -> break
  :: had < rounds ->
    if
    :: given[which] > had -> had++
    :: given[which] == had ->
      if
      :: Drain()  // spins for long
#ifdef COUNTS_RINGS_LATE
      :: sleeps++;
        flags[which] = sleeps;
        if
        :: given[which] == had -> seen = rings; Sleep()
        :: else
        fi;
#else
      :: seen = rings;
        sleeps++;
        flags[which] = sleeps;
        if
        :: given[which] == had -> Sleep()
        :: else
        fi;
#endif
        flags[which] = 0
      fi
    :: else
    fi
  od
}

// The peer's two threads: one publishes, one gives room back.
proctype Giver(byte which; byte rounds) {
  byte rung;
  byte sleep;
  do
  :: given[which] == rounds -> break
  :: given[which] < rounds ->
    given[which]++;
    sleep = flags[which];
    if
    :: sleep != 0 && sleep != rung ->
      rung = sleep;
      if
      :: atomic { nfull(socket) -> socket!1 }
      :: atomic { full(socket) }
      fi
    :: else
    fi;
    sleep = 0
  od
}

init {
  atomic {
    run Waiter(MESSAGE, MESSAGES);
    run Waiter(ROOM, ROOMS);
    run Giver(MESSAGE, MESSAGES);
    run Giver(ROOM, ROOMS)
  }
}
