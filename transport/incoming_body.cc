#include "shoal/transport/incoming_body.h"

#include <utility>

namespace shoal {

void IncomingBody::Release() {
  reader_.reset();
  segments.clear();
  joined.reset();
  GiveBack();
  const std::shared_ptr<Link> owner = std::move(link);
  if (owner == nullptr) {
    delete this;
    return;
  }
  owner->incoming.Give(this);
}

void IncomingBody::GiveBack() {
  for (const BorrowedBlock& lent : borrowed) {
    lent.block.slab->GiveBack();
    link->receipts.Write(lent.loan);
  }
  borrowed.clear();
}

uint64_t IncomingBody::SizeInWords() const {
  uint64_t words = 0;
  for (const auto& segment : segments) {
    words += segment.size();
  }
  return words;
}

}  // namespace shoal
