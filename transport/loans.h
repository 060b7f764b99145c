// The blocks that the peer has, by the numbers that its receipts name.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "shoal/transport/block_allocator.h"
#include "shoal/transport/peer.h"
#include "shoal/transport/receipts.h"
#include "shoal/transport/slabs.h"
#include "shoal/transport/slot_ring.h"

namespace shoal {

// Belongs to the writing side, whose thread alone may call it. A loan is a number below the length
// of the peer's receipts ring; each block that the peer has is one loan, and its receipt names it,
// so the check of what the peer sends is one look into a private table.
class Loans {
 public:
  // `receipts` lie in the peer's outbox and allow `max_loans` loans.
  Loans(Slabs& slabs, ReceiptReader receipts, uint32_t max_loans);

  // How many blocks can be lent now.
  uint32_t available() const { return static_cast<uint32_t>(free_.size()); }

  // Gives a block to the peer as well; the descriptor tells it where. One must be available, and
  // the peer must know the slab: see Slabs::Announce.
  BlockDescriptor Lend(const HeldBlock& held);

  // Takes back all that the peer has sent receipts for. kDataLoss on a receipt for what the peer
  // does not have, and from then on.
  absl::Status Collect(const Peer& peer);

  // Whether a block was changed while the peer had it, since this was asked last. Found out when
  // the block comes back, in debug builds alone.
  bool TakeChanged() { return changed_.exchange(false, std::memory_order_relaxed); }

 private:
  struct Loan {
    Slab* slab = nullptr;  // none: this number is free
    BlockAllocator::Block block{};
    // Of what was published, in debug builds alone. A member in every build, as code that is
    // compiled otherwise than this library has the same layout.
    uint32_t used_words = 0;
    uint64_t digest = 0;
  };

  Slabs& slabs_;
  ReceiptReader receipts_;
  std::vector<Loan> loans_;
  std::vector<uint32_t> free_;
  absl::Status corrupt_;
  std::atomic<bool> changed_ = false;  // relaxed: a waiting thread that trims may set it
};

}  // namespace shoal
