// Memory that threads share, with the stores that a processor holds back: Promela's own is
// sequentially consistent. A model defines THREADS and WORDS, and includes this first.
//
// With X86, x86-TSO: each thread has a buffer of stores that leave it in order, at any time. A load
// sees the thread's own buffered stores. A seq_cst store is an exchange: it waits until the buffer
// is empty and goes to memory at once.
//
// Without, what C++ allows and arm64 does not go beyond: a store may leave the buffer before
// earlier ones to other words. A release or seq_cst store waits for all earlier stores and loads. A
// seq_cst load waits until the thread's seq_cst stores have left, as LDAR does for STLR. A late load
// takes its value at any time until it is needed.

// Stores that a thread's buffer holds, 3 or 4; a further one waits.
#ifndef DEPTH
#define DEPTH 3
#endif

#define RELAXED 0
#define RELEASE 1
#define SEQ_CST 2

typedef Buffer {
  byte count;
  byte word[DEPTH];
  byte value[DEPTH];
  byte order[DEPTH];
  byte late;    // the word that a late load will read, plus 1; 0: none
  byte loaded;  // what it has read
}

byte memory[WORDS];
Buffer buffers[THREADS];
hidden byte entry;  // within a step

// Takes an entry out, and leaves no trace of it that would make two equal states differ.
inline Leave(thread, index) {
  d_step {
    memory[buffers[thread].word[index]] = buffers[thread].value[index];
    buffers[thread].count--;
    entry = index;
    do
    :: entry < buffers[thread].count ->
      buffers[thread].word[entry] = buffers[thread].word[entry + 1];
      buffers[thread].value[entry] = buffers[thread].value[entry + 1];
      buffers[thread].order[entry] = buffers[thread].order[entry + 1];
      entry++
    :: else -> break
    od;
    buffers[thread].word[entry] = 0;
    buffers[thread].value[entry] = 0;
    buffers[thread].order[entry] = RELAXED;
    entry = 0
  }
}

#define Passes(thread, later, earlier)                               \
  (buffers[thread].word[later] != buffers[thread].word[earlier] &&   \
   buffers[thread].order[later] == RELAXED)

// One for each thread; they come first, so that their numbers are those of the threads.
active [THREADS] proctype Stores() {
end:
  do
#ifdef X86
  :: buffers[_pid].count > 0 -> Leave(_pid, 0)
#else
  :: atomic {
      buffers[_pid].count > 0 && (buffers[_pid].order[0] == RELAXED || buffers[_pid].late == 0) ->
      Leave(_pid, 0)
    }
  :: atomic { buffers[_pid].count > 1 && Passes(_pid, 1, 0) -> Leave(_pid, 1) }
  :: atomic {
      buffers[_pid].count > 2 && Passes(_pid, 2, 0) && Passes(_pid, 2, 1) -> Leave(_pid, 2)
    }
#if DEPTH > 3
  :: atomic {
      buffers[_pid].count > 3 && Passes(_pid, 3, 0) && Passes(_pid, 3, 1) && Passes(_pid, 3, 2) ->
      Leave(_pid, 3)
    }
#endif
  :: d_step {
      buffers[_pid].late > 0 ->
      buffers[_pid].loaded = memory[buffers[_pid].late - 1];
      buffers[_pid].late = 0
    }
#endif
  od
}

inline Buffered(thread, address, what, its_order) {
  d_step {
    buffers[thread].count < DEPTH ->
    buffers[thread].word[buffers[thread].count] = address;
    buffers[thread].value[buffers[thread].count] = what;
    buffers[thread].order[buffers[thread].count] = its_order;
    buffers[thread].count++
  }
}

inline Store(thread, address, what, its_order) {
#ifdef X86
  if
  :: its_order != SEQ_CST -> Buffered(thread, address, what, its_order)
  :: else -> d_step { buffers[thread].count == 0 -> memory[address] = what }
  fi
#else
  Buffered(thread, address, what, its_order)
#endif
}

#define HoldsSeqCst(thread)                                                                   \
  (buffers[thread].order[0] == SEQ_CST || buffers[thread].order[1] == SEQ_CST ||              \
   buffers[thread].order[2] == SEQ_CST || buffers[thread].order[DEPTH - 1] == SEQ_CST)

// `its_order` is SEQ_CST or RELAXED; later loads and stores of the thread come later either way.
inline Load(thread, address, target, its_order) {
  d_step {
    its_order != SEQ_CST || !HoldsSeqCst(thread) ->
    target = memory[address];
    entry = 0;
    do
    :: entry < buffers[thread].count ->
      if
      :: buffers[thread].word[entry] == address -> target = buffers[thread].value[entry]
      :: else
      fi;
      entry++
    :: else -> break
    od;
    entry = 0
  }
}

// A load of what the thread itself does not store, that later stores may overtake unless their
// order forbids it. One at a time.
inline LoadLate(thread, address) {
#ifdef X86
  buffers[thread].loaded = memory[address]
#else
  buffers[thread].late = address + 1
#endif
}

inline Loaded(thread, target) {
  d_step {
    buffers[thread].late == 0 ->
    target = buffers[thread].loaded;
    buffers[thread].loaded = 0
  }
}
