// The peer's slabs, as this side maps them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "capnp/common.h"
#include "shoal/transport/peer.h"
#include "shoal/transport/region.h"
#include "shoal/transport/slot_ring.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// More slabs than this has no outbox at a time.
inline constexpr uint32_t kMaxSlabs = 256;

// One of them. Counts the blocks in it that this side holds, so that it is not unmapped below a
// reader whatever the peer says.
class PeerSlab {
 public:
  explicit PeerSlab(Region region) : region_(std::move(region)) {}
  PeerSlab(const PeerSlab&) = delete;
  PeerSlab& operator=(const PeerSlab&) = delete;
  ~PeerSlab();

  std::span<const capnp::word> words() const {
    return {reinterpret_cast<const capnp::word*>(region_.data()),
            region_.size() / sizeof(capnp::word)};
  }

  const Region& region() const { return region_; }

  // acquire: its partner is the release in PeerBlock::GiveBack.
  uint32_t borrowed() const { return borrowed_.load(std::memory_order_acquire); }

 private:
  friend struct PeerBlock;

  Region region_;
  std::atomic<uint32_t> borrowed_ = 0;
};

// A block as found in a slab.
struct PeerBlock {
  // It was received, on the reading thread.
  void Borrow() const;

  // It is not read any more; before its receipt is written. Any thread. In a build with
  // AddressSanitizer, reading it from now on is an error.
  void GiveBack() const;

  PeerSlab* slab;
  std::span<const capnp::word> words;
};

// Belongs to the reading thread. All that it is asked to do comes from the peer, and is checked
// here.
class PeerSlabs {
 public:
  // Maps at most `max_bytes`, all slabs together.
  explicit PeerSlabs(uint64_t max_bytes, Region::Pages pages = Region::Pages::kNormal)
      : max_bytes_(max_bytes), pages_(pages) {}

  // Maps a slab. kDataLoss: the number is not above all before it, there are too many, they are too
  // large or not of whole pages, or the descriptor is not what Region::Map() wants.
  absl::Status Add(uint32_t number, uint64_t bytes, UniqueFd fd, const Peer& peer);

  // Unmaps it. kDataLoss: there is no such slab, or this side still has blocks of it.
  absl::Status Drop(uint32_t number, const Peer& peer);

  // Whether a slab of this number is there.
  bool Has(uint32_t number) const { return slabs_.contains(number); }

  // The words that `block` describes, or nothing unless all of them lie inside a known slab.
  std::optional<PeerBlock> Find(const BlockDescriptor& block) const;

  // Touches every page.
  void Prefault() const;

  uint64_t bytes() const { return bytes_; }
  size_t count() const { return slabs_.size(); }

 private:
  uint64_t max_bytes_;
  Region::Pages pages_;
  absl::flat_hash_map<uint32_t, std::unique_ptr<PeerSlab>> slabs_;
  uint64_t bytes_ = 0;
  uint64_t next_number_ = 0;  // the lowest that was not used yet
};

}  // namespace shoal
