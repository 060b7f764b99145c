#include "shoal/transport/incoming_body.h"

#include <utility>

namespace shoal {

void IncomingBody::Release() {
  reader_.reset();
  segments.clear();
  joined.reset();
  const std::shared_ptr<Link> owner = std::move(link);
  if (owner == nullptr) {
    delete this;
    return;
  }
  for (const uint32_t loan : loans) {
    owner->receipts.Write(loan);
  }
  loans.clear();
  owner->incoming.Give(this);
}

uint64_t IncomingBody::SizeInWords() const {
  uint64_t words = 0;
  for (const auto& segment : segments) {
    words += segment.size();
  }
  return words;
}

}  // namespace shoal
