// The one-way sequence of slots in an outbox: one writer, one reader, no shared index.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <optional>
#include <span>

namespace shoal {

// A slot is four cache lines: a header, which is one atomic word, and 31 words of payload.
//
//     0         4    5              6          8                                    256
//     +---------+----+--------------+----------+------------------------------------+
//     | sequence|kind| inline words |  blocks  | 31 words of payload                |
//     +---------+----+--------------+----------+------------------------------------+
//
// The payload is the words of the first segment, then one BlockDescriptor for each segment that
// lies in a block. What does not fit one slot goes on in the next ones (kMore); the header of the
// first slot is stored last, so a message appears whole or not at all.
//
// Of a message that is one segment and begins, as nearly all do, with a pointer to the struct right
// behind it, the header has that pointer's two sizes in place of `blocks`, and the payload the
// words behind it (kStruct): so a message of 64 bytes takes one line, not two.
//
// Slot n of the endless sequence lies at index n % count and carries sequence n + 1 (modulo 2^32),
// so the reader knows from the slot alone whether it holds what it waits for (Vyukov's bounded
// queue): one line moves per message, and no head or tail is shared.
struct Slot {
  static constexpr uint32_t kWords = 31;

  // Stored by the writer after the payload; its partner is the reader's load. seq_cst because the
  // store is also one half of the publish/park pair (see parked_flag.h).
  std::atomic<uint64_t> header;
  uint64_t words[kWords];
};
static_assert(sizeof(Slot) == 256);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

enum class SlotKind : uint8_t {
  kMessage = 1,   // a whole message: inline words and blocks
  kFragment = 2,  // the next inline words of a message in Cap'n Proto's stream format
  kAbandon = 3,   // the fragments so far belong to a message that will not be finished
  kEnd = 4,       // the writer ended the channel; nothing follows
  kFds = 5,       // the message that follows has as many descriptors as its one word says
  kStruct = 6,    // a whole message without blocks; its first word is in the header
  kMore = 7,      // further payload of the slot before it
};

struct SlotHeader {
  uint32_t sequence = 0;
  SlotKind kind = SlotKind::kMessage;
  uint8_t inline_words = 0;  // of kStruct, the word in the header included
  uint16_t blocks = 0;       // of kStruct, the StructSizes
};
static_assert(sizeof(SlotHeader) == sizeof(uint64_t));

// The sizes in a pointer to the struct right behind it, if they fit: of its data in words in the
// low byte, and how many pointers it has in the high one.
constexpr std::optional<uint16_t> StructSizes(uint64_t pointer) {
  constexpr uint64_t kSizes = 0x00ff'00ff'0000'0000;
  return (pointer & ~kSizes) == 0
             ? std::optional(static_cast<uint16_t>(pointer >> 32 | pointer >> 40))
             : std::nullopt;
}

// The pointer again.
constexpr uint64_t StructPointer(uint16_t sizes) {
  return uint64_t{sizes & 0xffu} << 32 | uint64_t{sizes} >> 8 << 48;
}

// A segment that lies in a block of the writer's outbox.
struct BlockDescriptor {
  uint32_t slab = 0;
  uint32_t loan = 0;          // what the reader sends back as a receipt
  uint32_t offset_words = 0;  // from the beginning of the slab
  uint32_t words = 0;
};
static_assert(sizeof(BlockDescriptor) == 2 * sizeof(uint64_t));

// The slots that a message with this payload takes.
constexpr uint32_t SlotsFor(uint32_t inline_words, uint32_t blocks) {
  const uint32_t payload = inline_words + 2 * blocks;
  return std::max(1u, (payload + Slot::kWords - 1) / Slot::kWords);
}

// A message takes at most this share of the ring, so that the reader can be at work on one while
// the next is written. Larger ones go in fragments.
constexpr uint32_t MaxSlotsPerMessage(uint32_t slots) { return slots / 4; }

// The writing side. One thread at a time.
class SlotWriter {
 public:
  // `slots` lies in the writer's own outbox; `count` is a power of two.
  SlotWriter(Slot* slots, uint32_t count) : slots_(slots), count_(count) {}

  // Slots written so far, over the life of the ring.
  uint64_t published() const { return next_; }

  uint32_t count() const { return count_; }

  // Writes one message, or one fragment, into the next slots and makes it visible. The caller has
  // checked that there is room for SlotsFor() of them.
  void Publish(SlotKind kind, std::span<const uint64_t> inline_words,
               std::span<const BlockDescriptor> blocks = {});

  // The same for a message of one segment, in the shortest form that it can have.
  void PublishSegment(std::span<const uint64_t> words);

  // Asks for the next slot's first two lines, which hold most calls, ahead of the stores to them:
  // taking them back from the reader's cache goes on while the message is being built.
  void Prefetch() {
    const Slot* slot = &At(next_);
    __builtin_prefetch(slot, 1);
    __builtin_prefetch(&slot->words[8], 1);
  }

 private:
  Slot& At(uint64_t position) { return slots_[position & (count_ - 1)]; }
  // From word `at` of the payload on; returns where it ends.
  uint64_t WritePayload(uint64_t at, std::span<const uint64_t> words);
  void StoreHeader(uint64_t position, SlotHeader header, std::memory_order order);

  Slot* const slots_;
  const uint32_t count_;
  uint64_t next_ = 0;
};

// The reading side. One thread at a time. Everything it returns has been loaded once from the
// peer's memory and is the caller's to check.
class SlotReader {
 public:
  SlotReader(const Slot* slots, uint32_t count) : slots_(slots), count_(count) {}

  // Slots read so far, over the life of the ring.
  uint64_t consumed() const { return next_; }

  uint32_t count() const { return count_; }

  // True when the next slot has changed since it was last read: a message is there, or the ring is
  // corrupt. Any order would do for a look; seq_cst makes it the second half of the reader's park.
  bool Ready() const {
    return Sequence(At(next_).header.load(std::memory_order_seq_cst)) != Stale();
  }

  // The header of the next slot, or nothing when it is still the one of the lap before.
  std::optional<SlotHeader> Next() const {
    // seq_cst: its partner is the writer's store of the header, and acquires the payload. The look
    // of a reader that is about to park is Ready().
    const uint64_t header = At(next_).header.load(std::memory_order_seq_cst);
    return Sequence(header) == Stale() ? std::nullopt
                                       : std::optional(std::bit_cast<SlotHeader>(header));
  }

  // Whether `header` carries the sequence that the next slot must have.
  bool InSequence(const SlotHeader& header) const { return header.sequence == Fresh(); }

  // Copies the payload that starts in the next slot, from word `at` of it on, to `words`.
  void ReadPayload(uint64_t at, std::span<uint64_t> words) const;

  // Moves behind `slots` slots.
  void Advance(uint32_t slots) { next_ += slots; }

 private:
  static uint32_t Sequence(uint64_t header) { return static_cast<uint32_t>(header); }
  const Slot& At(uint64_t position) const { return slots_[position & (count_ - 1)]; }
  uint32_t Fresh() const { return static_cast<uint32_t>(next_ + 1); }
  uint32_t Stale() const { return next_ < count_ ? 0 : static_cast<uint32_t>(next_ + 1 - count_); }

  const Slot* const slots_;
  const uint32_t count_;
  uint64_t next_ = 0;
};

}  // namespace shoal
