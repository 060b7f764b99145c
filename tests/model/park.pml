// Publish and park: a publisher, alone or in batches, with notices between; a receiver that spins
// or sleeps. The ring is as long as there are messages; room.pml has the one that comes round.
//
// Never: the receiver asleep for ever with something there (an invalid end state); a message lost,
// doubled, out of order or seen before its payload; a notice taken ahead of a message that was
// published before it.

#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef NOTICES
#define NOTICES 2
#endif

#ifndef PUBLISH
#define PUBLISH SEQ_CST
#endif
#ifndef NOTIFY
#define NOTIFY SEQ_CST
#endif
#ifndef LOOK
#define LOOK SEQ_CST
#endif

#define THREADS 2
#define PUBLISHER 0
#define RECEIVER 1

#define PARKED 0
#define NOTICE 1
#define HEADER(n) (2 + (n))
#define PAYLOAD(n) (3 + MESSAGES + (n))
#define WORDS (3 + 2 * MESSAGES)

#include "memory.pml"
#include "parked.pml"

chan socket = [1] of { bit };
byte published_before[NOTICES + 1];  // each notice: what the model knows, no thread reads it

active proctype Publisher() {
  byte published;
  byte notices;
  byte rung;
  byte sleep;
  do
  :: published < MESSAGES ->
    Store(PUBLISHER, PAYLOAD(published), published + 1, RELAXED);
    Store(PUBLISHER, HEADER(published), published + 1, PUBLISH);
    published++;
    if
    :: RingIfRaised(PUBLISHER, PARKED, sleep, rung, socket)
    :: published < MESSAGES  // in a batch, whose end rings
    fi
  :: notices < NOTICES ->
    notices++;
    published_before[notices] = published;
    Store(PUBLISHER, NOTICE, notices, NOTIFY);
    RingIfRaised(PUBLISHER, PARKED, sleep, rung, socket)
  :: published == MESSAGES && notices == NOTICES -> break
  od
}

active proctype Receiver() {
  byte received;
  byte taken;  // notices
  byte header;
  byte notice;
  byte value;
  byte sleeps;
  do
  :: received == MESSAGES && taken == NOTICES -> break
  :: else ->
    // ShmChannel::Receive: first a message,
    Load(RECEIVER, HEADER(received), header, LOOK);
    if
    :: header != 0 -> goto take
    :: else
    fi;
    // then a notice; the look at the ring comes after the look at the notices.
#ifdef RING_BEFORE_NOTICES
    Load(RECEIVER, HEADER(received), header, LOOK);
    Load(RECEIVER, NOTICE, notice, LOOK);
#else
    Load(RECEIVER, NOTICE, notice, LOOK);
    Load(RECEIVER, HEADER(received), header, LOOK);
#endif
    if
    :: notice != taken && header == 0 ->
#ifdef TAKES_LATEST_NOTICE
      Load(RECEIVER, NOTICE, notice, LOOK);
#endif
      taken = notice;
      assert(received >= published_before[taken])
    :: notice == taken && header == 0 ->
      if
      :: skip  // spins
      :: goto park
      fi
    :: else
    fi;
  clear:
    header = 0;
    notice = 0;
    value = 0;
    goto next;

  take:
    LoadLate(RECEIVER, PAYLOAD(received));
    Loaded(RECEIVER, value);
    assert(header == received + 1);
    assert(value == received + 1);
    received++;
    goto clear;

  park:
#ifdef LOOK_BEFORE_RAISE
    Load(RECEIVER, HEADER(received), header, LOOK);
    Load(RECEIVER, NOTICE, notice, LOOK);
#endif
    Raise(RECEIVER, PARKED, sleeps);
#ifndef LOOK_BEFORE_RAISE
    Load(RECEIVER, HEADER(received), header, LOOK);
    Load(RECEIVER, NOTICE, notice, LOOK);
#endif
    if
    :: header == 0 && notice == taken -> socket?_  // sleeps
    :: else
    fi;
    Lower(RECEIVER, PARKED);
    goto clear;

  next:
    skip
  od
}
