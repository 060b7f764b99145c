// All that one end of a channel writes, as its owner and as its peer see it.
//
//     control region                              slab region
//     +------+---------------------------+        +-------------------------------------------+
//     |    0 | Header: what this is      |        | blocks, each one segment of a message,    |
//     |  128 | parked                    |        | placed by the owner's BlockAllocator      |
//     |  256 | starved                   |        +-------------------------------------------+
//     |  384 | consumed                  |
//     |  512 | cpu                       |
//     |  640 | notices                   |
//     |  768 | closed                    |        counter page
//     |  896 | receipts, 8 bytes each    |        +-------------------------------------------+
//     |      | slots, 256 bytes each     |        | CounterPage: for observers, see stats.h   |
//     +------+---------------------------+        +-------------------------------------------+
//
// The owner maps all three read-write, the peer the first two read-only: every byte of shared
// memory has exactly one process that writes it, and the MMU enforces it. Once the peer has been
// sent the first two, nobody else can get at them: the counter page alone keeps its descriptor.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "shoal/transport/counters.h"
#include "shoal/transport/fork_mark.h"
#include "shoal/transport/options.h"
#include "shoal/transport/peer.h"
#include "shoal/transport/peer_slabs.h"
#include "shoal/transport/receipts.h"
#include "shoal/transport/region.h"
#include "shoal/transport/slot_ring.h"

namespace shoal {

// "SHOAL" in memory.
inline constexpr uint64_t kMagic = 0x0000004c414f4853;

// Changes whenever the layout or the meaning of a byte that the peer reads does.
inline constexpr uint32_t kProtocolVersion = 5;

// What two sides agree on in the handshake. Both derive every offset from it.
struct OutboxShape {
  uint32_t slots = 0;
  uint32_t receipts = 0;  // also how many of the peer's blocks the owner may hold
  uint64_t slab_bytes = 0;

  static OutboxShape Of(const ChannelOptions& options) {
    return {.slots = options.slots, .receipts = LoansOf(options), .slab_bytes = options.slab_bytes};
  }

  // kInvalidArgument unless the numbers keep to the ranges of ChannelOptions.
  absl::Status Validate() const;

  size_t receipts_offset() const;
  size_t slots_offset() const;
  size_t control_bytes() const;  // whole pages
};

// One value that its owner stores and the peer loads, on a cache line pair of its own: adjacent
// lines are fetched in pairs.
struct alignas(128) SharedWord {
  std::atomic<uint64_t> value;
};

struct Control {
  struct alignas(128) Header {
    uint64_t magic;
    uint32_t version;
    uint32_t pid;
    uint64_t epoch;  // the connection's; a region of another connection has another one
    uint32_t slots;
    uint32_t receipts;
    uint64_t slab_bytes;
  };

  Header header;
  SharedWord parked;    // ring me when you publish (ParkedFlag)
  SharedWord starved;   // ring me when you have consumed (ParkedFlag)
  SharedWord consumed;  // slots of the peer's ring that the owner has read and will not read again
  SharedWord cpu;       // the CPU that the owner last waited on or rang from, plus 1; 0: unknown
  SharedWord notices;   // how often the owner has called Notify()
  SharedWord closed;    // 1 once the owner has closed the channel, and published all, the end too
};
static_assert(sizeof(Control) == 896);
static_assert(offsetof(Control, parked) == 128);
static_assert(offsetof(Control, starved) == 256);
static_assert(offsetof(Control, consumed) == 384);
static_assert(offsetof(Control, cpu) == 512);
static_assert(offsetof(Control, notices) == 640);
static_assert(offsetof(Control, closed) == 768);

// The owner's view. Its parts may be used by different threads, as the classes that use them say.
class Outbox {
 public:
  // kResourceExhausted names the limit that the regions ran into.
  static absl::StatusOr<Outbox> Create(const OutboxShape& shape, uint64_t epoch,
                                       Region::Pages slab_pages = Region::Pages::kNormal);

  const OutboxShape& shape() const { return shape_; }
  Control& control() { return *reinterpret_cast<Control*>(control_.data()); }
  Receipt* receipts();
  Slot* slots();

  CounterPage& counters() { return *reinterpret_cast<CounterPage*>(counters_.data()); }

  // What the handshake sends. Their descriptors must not stay open: through them, in /proc, a
  // process of the same user could read messages.
  Region& control_region() { return control_; }
  Region& slab_region() { return slab_; }

  // True in a child that was forked from the process which made this outbox.
  bool forked() const { return fork_mark_.forked(); }

  // Gives the first slab to those who divide it.
  Region TakeSlab() { return std::move(slab_); }

 private:
  Outbox(const OutboxShape& shape, Region counters, Region control, Region slab, ForkMark fork_mark)
      : shape_(shape),
        counters_(std::move(counters)),
        control_(std::move(control)),
        slab_(std::move(slab)),
        fork_mark_(std::move(fork_mark)) {}

  OutboxShape shape_;
  Region counters_;
  Region control_;
  Region slab_;
  ForkMark fork_mark_;
};

// The peer's view, read-only. All that it gives has been written by the peer; pointers lead into
// memory that the peer may change at any time.
class PeerOutbox {
 public:
  // Verifies and maps the two descriptors; `slabs` is where the first slab goes. kDataLoss names
  // what is wrong with them.
  static absl::StatusOr<PeerOutbox> Map(const OutboxShape& shape, uint64_t epoch, const Peer& peer,
                                        UniqueFd control, UniqueFd slab, PeerSlabs slabs);

  const OutboxShape& shape() const { return shape_; }
  const Control& control() const { return *reinterpret_cast<const Control*>(control_.data()); }
  const Receipt* receipts() const;
  const Slot* slots() const;

  PeerSlabs& slabs() { return slabs_; }

  // Touches every page of the control region and the slabs.
  void Prefault() const;

 private:
  PeerOutbox(const OutboxShape& shape, Region control, PeerSlabs slabs)
      : shape_(shape), control_(std::move(control)), slabs_(std::move(slabs)) {}

  OutboxShape shape_;
  Region control_;
  PeerSlabs slabs_;
};

}  // namespace shoal
