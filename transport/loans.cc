#include "shoal/transport/loans.h"

#include <numeric>
#include <optional>
#include <utility>

namespace shoal {

Loans::Loans(Slabs& slabs, ReceiptReader receipts, uint32_t max_loans)
    : slabs_(slabs), receipts_(receipts), loans_(max_loans), free_(max_loans) {
  std::iota(free_.begin(), free_.end(), 0);
}

BlockDescriptor Loans::Lend(const HeldBlock& held) {
  const uint32_t number = free_.back();
  free_.pop_back();
  loans_[number] = {.slab = held.slab, .block = held.block};
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
    slabs_.TakeBack(*loan.slab, loan.block);
    free_.push_back(*number);
  }
  return corrupt_;
}

}  // namespace shoal
