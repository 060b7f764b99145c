#include "shoal/transport/loans.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

namespace shoal {

#ifndef NDEBUG
namespace {

// A builder that was kept changes the beginning of a message, if anything.
constexpr uint32_t kMostDigestedWords = 1 << 14;

// Of what this process wrote there. The block may be dropped already, and poisoned.
__attribute__((no_sanitize("address"))) uint64_t Digest(Slab& slab, BlockAllocator::Block block,
                                                        uint32_t used_words) {
  const auto* words = reinterpret_cast<const uint64_t*>(slab.words() + block.offset_words);
  uint64_t digest = used_words;
  for (uint32_t i = 0; i < std::min(used_words, kMostDigestedWords); ++i) {
    digest = (digest ^ words[i]) * 0x9e3779b97f4a7c15;
  }
  return digest;
}

}  // namespace
#endif

Loans::Loans(Slabs& slabs, ReceiptReader receipts, uint32_t max_loans)
    : slabs_(slabs), receipts_(receipts), loans_(max_loans), free_(max_loans) {
  std::iota(free_.begin(), free_.end(), 0);
}

BlockDescriptor Loans::Lend(const HeldBlock& held) {
  const uint32_t number = free_.back();
  free_.pop_back();
  loans_[number].slab = held.slab;
  loans_[number].block = held.block;
#ifndef NDEBUG
  loans_[number].used_words = held.used_words;
  loans_[number].digest = Digest(*held.slab, held.block, held.used_words);
#endif
  slabs_.Lend(held);
  return {.slab = held.slab->number,
          .loan = number,
          .offset_words = held.block.offset_words,
          .words = held.used_words};
}

absl::Status Loans::Collect(const Peer& peer) {
  while (corrupt_.ok()) {
    const std::optional<uint32_t> number = receipts_.Next();
    if (!number) {
      return absl::OkStatus();
    }
    if (*number >= loans_.size() || loans_[*number].slab == nullptr) {
      corrupt_ =
          CorruptPeer(peer, "a receipt", *number, "a block that it has and has not given back");
      break;
    }
    const Loan loan = std::exchange(loans_[*number], Loan());
#ifndef NDEBUG
    if (loan.digest != Digest(*loan.slab, loan.block, loan.used_words)) {
      changed_.store(true, std::memory_order_relaxed);
    }
#endif
    slabs_.TakeBack(*loan.slab, loan.block);
    free_.push_back(*number);
  }
  return corrupt_;
}

}  // namespace shoal
