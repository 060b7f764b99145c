// Receipts and the reuse of blocks: an owner that builds messages in blocks, lends them and takes
// them back (transport/loans.h, block_allocator.h), and two threads of the peer that read and drop
// them in any order (transport/receipts.h). The slots are as many as there are messages; room.pml
// has the ring that comes round.
//
// Never: a block written while either end has it; a receipt lost (an invalid end state: the owner
// waits for it for ever), doubled, or for what was not lent; more blocks borrowed than there are
// receipts.

#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef BLOCKS
#define BLOCKS 2
#endif
#ifndef RECEIPTS
#define RECEIPTS 2
#endif
#ifndef LOANS
#define LOANS RECEIPTS
#endif

#ifndef RECEIPT
#define RECEIPT RELEASE
#endif
#ifndef PUBLISH
#define PUBLISH SEQ_CST
#endif

#define THREADS 3
#define OWNER 0
#define RECEIVER 1  // and one more

#define BLOCK(n) (n)
#define ENTRY(n) (BLOCKS + (n) % RECEIPTS)
#define HEADER(n) (BLOCKS + RECEIPTS + (n))
#define DESCRIPTOR(n) (BLOCKS + RECEIPTS + MESSAGES + (n))
#define WORDS (BLOCKS + RECEIPTS + 2 * MESSAGES)

// The words of a descriptor, and of a receipt.
#define PAIR(high, low) ((high) * 8 + (low))
#define HIGH(pair) ((pair) / 8)
#define LOW(pair) ((pair) % 8)
#define LAP(n) ((n) / RECEIPTS + 1)

#include "memory.pml"

chan held = [BLOCKS] of { byte, byte, byte };  // loan, block, message: not yet dropped
byte receipts;                                 // ReceiptWriter::next_

#ifdef NO_LAPS
#define IsNew(receipt, collected) ((receipt) != 0)
#else
#define IsNew(receipt, collected) (HIGH(receipt) == LAP(collected))
#endif

// A block that neither end has is free.
#ifdef FREE_WITHOUT_DROP
#define IsFree(n) (!lent[n])
#else
#ifdef FREE_WITHOUT_RECEIPT
#define IsFree(n) (!owned[n])
#else
#define IsFree(n) (!owned[n] && !lent[n])
#endif
#endif

#if BLOCKS > 2
#define HoldsOwn (owned[0] || owned[1] || owned[2])
#else
#define HoldsOwn (owned[0] || owned[1])
#endif

active proctype Owner() {
  byte sent;
  byte collected;
  byte loan;
  byte block;
  byte value;
  byte owned[BLOCKS];  // by a message that was not dropped here: its number
  bit lent[BLOCKS];
  byte loans[LOANS];  // the block, plus 1; 0: this number is free
  do
  :: sent < MESSAGES ->
    // Claims any free block, and lends it under any free number; has neither: waits.
    if
    :: IsFree(0) -> block = 0
    :: IsFree(1) -> block = 1
#if BLOCKS > 2
    :: IsFree(2) -> block = 2
#endif
    :: else -> goto wait
    fi;
    if
    :: loans[0] == 0 -> loan = 0
    :: loans[1] == 0 -> loan = 1
#if LOANS > 2
    :: loans[2] == 0 -> loan = 2
#endif
    :: else -> goto wait
    fi;
    sent++;
    assert(!owned[block]);
    owned[block] = sent;
    Store(OWNER, BLOCK(block), sent, RELAXED);
    lent[block] = 1;
    loans[loan] = block + 1;
    Store(OWNER, DESCRIPTOR(sent - 1), PAIR(loan, block), RELAXED);
    Store(OWNER, HEADER(sent - 1), sent, PUBLISH);
    goto next;

  wait:
    loan = 0;
    block = 0;
    IsNew(memory[ENTRY(collected)], collected) || HoldsOwn;
  next:
    loan = 0;
    block = 0

  // Drops its own hold of a message, which it may have read again until now.
  :: owned[0] ->
    Load(OWNER, BLOCK(0), value, RELAXED);
    assert(value == owned[0]);
    d_step { owned[0] = 0; value = 0 }
  :: owned[1] ->
    Load(OWNER, BLOCK(1), value, RELAXED);
    assert(value == owned[1]);
    d_step { owned[1] = 0; value = 0 }
#if BLOCKS > 2
  :: owned[2] ->
    Load(OWNER, BLOCK(2), value, RELAXED);
    assert(value == owned[2]);
    d_step { owned[2] = 0; value = 0 }
#endif

  // Loans::Collect
  :: d_step {
      IsNew(memory[ENTRY(collected)], collected) ->
      loan = LOW(memory[ENTRY(collected)]);
      assert(loans[loan] != 0);
      lent[loans[loan] - 1] = 0;
      loans[loan] = 0;
      collected++;
      loan = 0
    }

  :: sent == MESSAGES && collected == MESSAGES && !HoldsOwn -> break
  od
}

inline WriteReceipt(thread) {
#ifdef PLACE_NOT_ATOMIC
  place = receipts;
  receipts = place + 1;
#else
  d_step { place = receipts; receipts++ };
#endif
  Store(thread, ENTRY(place), PAIR(LAP(place), loan), RECEIPT)
}

inline Drop(thread) {
#ifdef RECEIPT_AHEAD_OF_READING
  WriteReceipt(thread);
  LoadLate(thread, BLOCK(block));
#else
  LoadLate(thread, BLOCK(block));
  WriteReceipt(thread);
#endif
  Loaded(thread, value);
  assert(value == message);
  d_step { loan = 0; block = 0; message = 0; place = 0; value = 0 }
}

active proctype Receiver() {
  byte received;
  byte loan;
  byte block;
  byte message;
  byte place;
  byte value;
end:
  do
  :: received < MESSAGES && memory[HEADER(received)] != 0 ->
    assert(memory[HEADER(received)] == received + 1);
    assert(received - receipts < RECEIPTS);  // Receiver::AddBlock
    held!HIGH(memory[DESCRIPTOR(received)]), LOW(memory[DESCRIPTOR(received)]), received + 1;
    received++
  :: held?loan, block, message -> Drop(RECEIVER)
  od
}

active proctype Other() {
  byte loan;
  byte block;
  byte message;
  byte place;
  byte value;
end:
  do
  :: held?loan, block, message -> Drop(RECEIVER + 1)
  od
}
