// Room in the ring: it comes round, and both sides may sleep, the writer for room and the reader for
// messages. A message takes one slot or two; the writer publishes alone or in batches, whose end
// rings.
//
// Never: either of them asleep for ever while the other waits or is done (an invalid end state); a
// message lost, doubled or out of order; a slot written while the reader reads it.

#ifndef TOTAL
#define TOTAL 4  // slots that all messages take
#endif
#ifndef SLOTS
#define SLOTS 2
#endif

#ifndef CONSUME
#define CONSUME SEQ_CST
#endif
#ifndef PUBLISH
#define PUBLISH SEQ_CST
#endif
#ifndef LOOK
#define LOOK SEQ_CST
#endif

#define THREADS 2
#define WRITER 0
#define READER 1

#define PARKED 0
#define STARVED 1
#define CONSUMED 2
#define HEADER(n) (3 + (n) % SLOTS)
#define PAYLOAD(n) (3 + SLOTS + (n) % SLOTS)
#define WORDS (3 + 2 * SLOTS)

// A header: the sequence, and what the slot is.
#define SEQUENCE(header) ((header) % 64)
#define LONG 64  // the next slot belongs to the message
#define MORE 128  // belongs to the message of the slot before
#define STALE(n) ((n) < SLOTS -> 0 : (n) + 1 - SLOTS)

#define DEPTH 4  // a publish of two slots
#include "memory.pml"
#include "parked.pml"

chan to_reader = [1] of { bit };
chan to_writer = [1] of { bit };

// Until the reader has consumed `wanted`; may come back early.
inline AwaitRoom() {
#ifdef LOOK_BEFORE_RAISE
  Load(WRITER, CONSUMED, consumed, LOOK);
#endif
  Raise(WRITER, STARVED, sleeps);
#ifndef LOOK_BEFORE_RAISE
  Load(WRITER, CONSUMED, consumed, LOOK);
#endif
  if
  :: consumed + SLOTS < published + slots -> to_writer?_  // sleeps
  :: else
  fi;
  Lower(WRITER, STARVED)
}

inline Publish() {
#ifdef FIRST_HEADER_FIRST
  Store(WRITER, HEADER(published), published + 1 + (slots - 1) * LONG, PUBLISH);
#endif
  Store(WRITER, PAYLOAD(published), published + 1, RELAXED);
  if
  :: slots == 2 ->
    Store(WRITER, PAYLOAD(published + 1), published + 2, RELAXED);
    Store(WRITER, HEADER(published + 1), published + 2 + MORE, RELAXED)
  :: else
  fi;
#ifndef FIRST_HEADER_FIRST
  Store(WRITER, HEADER(published), published + 1 + (slots - 1) * LONG, PUBLISH);
#endif
  published = published + slots;
  slots = 1
}

active proctype Writer() {
  byte published;
  byte consumed;
  byte rung;
  byte sleep;
  byte sleeps;
  byte slots = 1;  // of the next message
  do
  :: published == TOTAL -> break
  :: published + 2 <= TOTAL && slots == 1 -> slots = 2
  :: published < TOTAL ->
    if
    :: consumed + SLOTS < published + slots ->
      // Sender::HasConsumed
      Load(WRITER, CONSUMED, consumed, LOOK);
      assert(consumed <= published);
      if
      :: consumed + SLOTS < published + slots ->
#ifndef NO_RING_AHEAD_OF_WAIT
        RingIfRaised(WRITER, PARKED, sleep, rung, to_reader);
#endif
        if
        :: skip  // spins
        :: AwaitRoom()
        fi
      :: else
      fi
    :: else ->
      Publish();
      if
      :: RingIfRaised(WRITER, PARKED, sleep, rung, to_reader)
      :: published < TOTAL  // in a batch
      fi
    fi
  od
}

inline Consume() {
  Store(READER, CONSUMED, received + slots, CONSUME);
  RingIfRaised(READER, STARVED, sleep, rung, to_writer)
}

active proctype Reader() {
  byte received;
  byte header;
  byte slots;
  byte value;
  byte rung;
  byte sleep;
  byte sleeps;
  do
  :: received == TOTAL -> break
  :: received < TOTAL ->
    Load(READER, HEADER(received), header, LOOK);
    if
    :: SEQUENCE(header) != STALE(received) ->
      assert(SEQUENCE(header) == received + 1 && header < MORE);
      slots = 1 + header / LONG;
#ifdef CONSUMES_AHEAD_OF_READING
      Consume();
#endif
      if
      :: slots == 2 ->
        LoadLate(READER, PAYLOAD(received + 1));
        Loaded(READER, value);
        assert(value == received + 2)
      :: else
      fi;
      LoadLate(READER, PAYLOAD(received));
#ifndef CONSUMES_AHEAD_OF_READING
      Consume();
#endif
      Loaded(READER, value);
      received = received + slots;
      assert(value == received + 1 - slots)
    :: else ->
      if
      :: skip  // spins
      :: Raise(READER, PARKED, sleeps);
        Load(READER, HEADER(received), header, LOOK);
        if
        :: SEQUENCE(header) == STALE(received) -> to_reader?_  // sleeps
        :: else
        fi;
        Lower(READER, PARKED)
      fi
    fi;
    header = 0;
    slots = 0;
    value = 0
  od
}
