#include "shoal/transport/block_arena.h"

#include <numeric>

namespace shoal {

BlockArena::BlockArena(capnp::word* slab, uint64_t slab_words, ReceiptReader receipts,
                       uint32_t max_loans)
    : slab_(slab),
      allocator_(static_cast<uint32_t>(slab_words)),
      receipts_(receipts),
      loans_(max_loans),
      free_loans_(max_loans) {
  std::iota(free_loans_.begin(), free_loans_.end(), 0);
}

std::optional<HeldBlock> BlockArena::Claim(uint32_t words) {
  const std::optional<Block> block = allocator_.Claim(words);
  if (!block) {
    return std::nullopt;
  }
  allocator_.Clear(*block, slab_);
  return HeldBlock{.block = *block, .begin = At(*block)};
}

void BlockArena::Trim(HeldBlock& held, uint32_t used_words) {
  held.used_words = used_words;
  held.block = allocator_.Trim(held.block, used_words);
}

BlockDescriptor BlockArena::Lend(const HeldBlock& held) {
  const uint32_t loan = free_loans_.back();
  free_loans_.pop_back();
  loans_[loan] = held.block;
  allocator_.Lend(held.block);
  return {
      .slab = 0, .loan = loan, .offset_words = held.block.offset_words, .words = held.used_words};
}

void BlockArena::Drop(const HeldBlock& held) {
  allocator_.MarkDirty(held.block, held.used_words);
  allocator_.Drop(held.block);
}

absl::Status BlockArena::Collect(const Peer& peer) {
  while (const std::optional<uint32_t> loan = receipts_.Next()) {
    if (*loan >= loans_.size() || !loans_[*loan]) {
      return CorruptPeer(peer, "a receipt", *loan, "a block that it has and has not given back");
    }
    allocator_.TakeBack(*loans_[*loan]);
    loans_[*loan].reset();
    free_loans_.push_back(*loan);
  }
  return absl::OkStatus();
}

}  // namespace shoal
