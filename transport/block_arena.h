// The blocks of one outbox: claimed, lent to the peer, and taken back on its receipts.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "capnp/common.h"
#include "shoal/transport/block_allocator.h"
#include "shoal/transport/peer.h"
#include "shoal/transport/receipts.h"
#include "shoal/transport/slot_ring.h"

namespace shoal {

using Block = BlockAllocator::Block;

// A block and how much of it was written.
struct HeldBlock {
  Block block;
  const capnp::word* begin;  // where the owner has it mapped
  uint32_t used_words = 0;
};

// Belongs to the writing side, whose thread alone may call it. A loan is a number below the length
// of the peer's receipts ring; each block that the peer has is one loan, and its receipt names it,
// so the check of what the peer sends is one look into a private table.
class BlockArena {
 public:
  // `slab` is the owner's mapping; `receipts` lie in the peer's outbox and allow `max_loans` loans.
  BlockArena(capnp::word* slab, uint64_t slab_words, ReceiptReader receipts, uint32_t max_loans);

  // A block of at least `words` words, all zero, or nothing when none is free.
  std::optional<HeldBlock> Claim(uint32_t words);

  // The words of a block that this side holds.
  capnp::word* At(const Block& block) { return slab_ + block.offset_words; }

  // Gives back what `used_words` do not need. Before Lend.
  void Trim(HeldBlock& held, uint32_t used_words);

  // How many blocks can be lent now.
  uint32_t free_loans() const { return static_cast<uint32_t>(free_loans_.size()); }

  // Gives a block to the peer as well; the descriptor tells it where. There must be a free loan.
  BlockDescriptor Lend(const HeldBlock& held);

  // This side is done with a block; it is used again once the peer is, too.
  void Drop(const HeldBlock& held);

  // Takes back all that the peer has sent receipts for. kDataLoss on a receipt for what the peer
  // does not have.
  absl::Status Collect(const Peer& peer);

  uint32_t lent_blocks() const { return allocator_.lent_blocks(); }
  uint32_t claimed_blocks() const { return allocator_.claimed_blocks(); }

 private:
  capnp::word* const slab_;
  BlockAllocator allocator_;
  ReceiptReader receipts_;
  std::vector<std::optional<Block>> loans_;  // by loan: the block the peer has under it
  std::vector<uint32_t> free_loans_;
};

}  // namespace shoal
