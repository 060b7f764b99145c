// The reader's word that a block may be reused: a ring of its own in the reader's outbox.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace shoal {

// One receipt: a loan in the low half and the position's lap in the high half, so that an entry
// tells by itself whether it is new. There are as many entries as there may be loans at a time, and
// a loan is not given out again before its receipt was read, so the ring cannot overflow.
using Receipt = std::atomic<uint64_t>;
static_assert(Receipt::is_always_lock_free);

// The lap, from 1, of a position in a ring of `count` entries; 0 is an entry never written.
constexpr uint32_t LapOf(uint64_t position, uint32_t count) {
  return static_cast<uint32_t>(position / count + 1);
}

// Writes receipts into the owner's outbox. Messages may be dropped on any thread, so any number of
// threads may write at once, without a lock.
class ReceiptWriter {
 public:
  // `count` is a power of two.
  ReceiptWriter(Receipt* receipts, uint32_t count) : receipts_(receipts), count_(count) {}

  // Gives `loan` back to the peer.
  void Write(uint32_t loan) {
    // relaxed: takes a place in private memory; the entry's own store publishes.
    const uint64_t position = next_.fetch_add(1, std::memory_order_relaxed);
    // release: its partner is the acquire in ReceiptReader::Next. All reads of the block come
    // first.
    receipts_[position & (count_ - 1)].store(uint64_t{LapOf(position, count_)} << 32 | loan,
                                             std::memory_order_release);
  }

  // Receipts begun so far. Never less than what the peer can have read.
  uint64_t written() const { return next_.load(std::memory_order_relaxed); }

  uint32_t count() const { return count_; }

 private:
  Receipt* const receipts_;
  const uint32_t count_;
  std::atomic<uint64_t> next_ = 0;
};

// Reads the peer's receipts. One thread at a time. What it returns is the caller's to check.
class ReceiptReader {
 public:
  ReceiptReader(const Receipt* receipts, uint32_t count) : receipts_(receipts), count_(count) {}

  // The next loan that came back, or nothing.
  std::optional<uint32_t> Next() {
    // acquire: its partner is the release in ReceiptWriter::Write.
    const uint64_t entry = receipts_[next_ & (count_ - 1)].load(std::memory_order_acquire);
    if (entry >> 32 != LapOf(next_, count_)) {
      return std::nullopt;
    }
    ++next_;
    return static_cast<uint32_t>(entry);
  }

 private:
  const Receipt* const receipts_;
  const uint32_t count_;
  uint64_t next_ = 0;
};

}  // namespace shoal
