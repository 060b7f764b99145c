// The slabs of an outbox, as its owner divides them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "capnp/common.h"
#include "shoal/transport/block_allocator.h"
#include "shoal/transport/counters.h"
#include "shoal/transport/doorbell.h"
#include "shoal/transport/region.h"

namespace shoal {

// See ChannelOptions.
struct SlabLimits {
  size_t slab_bytes = 0;
  uint64_t max_bytes = 0;  // the lower one of both sides' limits
  absl::Duration idle_time = absl::InfiniteDuration();
  uint64_t max_idle_bytes = 0;
  Region::Pages pages = Region::Pages::kNormal;
};

// One of them.
struct Slab {
  explicit Slab(Region its_region)
      : region(std::move(its_region)), allocator(region.size() / sizeof(capnp::word)) {}
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab();

  capnp::word* words() { return reinterpret_cast<capnp::word*>(region.data()); }

  // By which the peer knows it: 0 for the first one, and for the others once the peer is told. The
  // numbers grow in the order of telling, and none is used again in a connection.
  uint32_t number = 0;
  Region region;
  BlockAllocator allocator;
  std::optional<std::chrono::steady_clock::time_point> idle_since;  // none while blocks are in use
};

// A block and how much of it was written.
struct HeldBlock {
  Slab* slab;
  BlockAllocator::Block block;
  const capnp::word* begin;  // where the segment that it holds was built
  uint32_t used_words = 0;

  // The block in the owner's mapping.
  capnp::word* memory() const { return slab->words() + block.offset_words; }
};

// Claims are served from the oldest slab that has room, so that the youngest ones fall idle; those
// go back to the system. The first one stays. One thread at a time.
class Slabs {
 public:
  // `first` is slab 0, which the peer knows from the handshake; it hears of others by `doorbell`.
  // What slabs and blocks there are is kept up to date in `counters`.
  Slabs(Region first, const SlabLimits& limits, Doorbell& doorbell, WriterCounters& counters);

  // A block of at least `words` words, all zero, or nothing when no slab has room. In a build with
  // AddressSanitizer it is an error to use a block that was not claimed, or was dropped.
  std::optional<HeldBlock> Claim(uint32_t words);

  // Adds a slab that has room for `words` words; false when the limits, memory or descriptors do
  // not allow it.
  bool Grow(uint32_t words);

  // Whether there is more than the first slab. Any thread.
  // acquire: its partner is the release where it turns false, so that who sees that has the slabs
  // to itself.
  bool grown() const { return grown_.load(std::memory_order_acquire); }

  // Tells the peer of the slab, if it does not know it yet. To be called before a block of it is
  // described. kResourceExhausted: not now.
  absl::Status Announce(Slab& slab);

  // Gives the memory beyond `used_words` back. Before the block is lent.
  void Trim(HeldBlock& held, uint32_t used_words);

  // The three ways of a block between this side and the peer: see BlockAllocator.
  void Lend(const HeldBlock& held);
  void Drop(const HeldBlock& held);
  void TakeBack(Slab& slab, BlockAllocator::Block block);

  // Drops the slabs that have been idle for long enough, and those that are more than may be idle.
  // Returns when to look again: never, if only the first is left.
  absl::Duration DropIdle();

  size_t count() const { return slabs_.size(); }
  uint64_t bytes() const { return bytes_; }
  uint64_t max_bytes() const { return limits_.max_bytes; }
  uint64_t claimed_blocks() const { return counters_.claimed_blocks.value(); }
  uint64_t lent_blocks() const { return counters_.lent_blocks.value(); }

 private:
  using Clock = std::chrono::steady_clock;

  size_t BytesToAdd(uint64_t needed_bytes) const;
  void NoteAdded(const Slab& slab);
  void NoteFreed(Slab& slab, uint32_t claimed_before);
  void NoteIdle(Slab& slab);
  bool Forget(const Slab& slab);

  const SlabLimits limits_;
  Doorbell& doorbell_;
  WriterCounters& counters_;
  std::vector<std::unique_ptr<Slab>> slabs_;  // by age
  uint32_t next_number_ = 1;
  uint64_t bytes_ = 0;
  uint64_t idle_bytes_ = 0;  // of the slabs but the first in which no block is in use
  Clock::time_point grow_after_ = Clock::time_point::min();  // no attempt before; the last failed
  std::atomic<bool> grown_ = false;
};

}  // namespace shoal
