#include "shoal/transport/incoming_body.h"

#include <sanitizer/asan_interface.h>

namespace shoal {

void IncomingBody::Release() {
  reader_.reset();
  segments.clear();
  joined.reset();
  fds.clear();
  GiveBack();
  // In a build with AddressSanitizer, reading what was released is an error.
  ASAN_POISON_MEMORY_REGION(inline_words, sizeof(inline_words));
  if (link == nullptr || !link->incoming.Give(this)) {
    delete this;
  }
}

void IncomingBody::Begin() { ASAN_UNPOISON_MEMORY_REGION(inline_words, sizeof(inline_words)); }

void IncomingBody::GiveBack() {
  for (const BorrowedBlock& lent : borrowed) {
    lent.block.GiveBack();
    // A forked child has a copy of this message, and the peer wants one receipt.
    if (!link->forked()) {
      link->receipts.Write(lent.loan);
    }
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
