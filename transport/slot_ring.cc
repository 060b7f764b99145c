#include "shoal/transport/slot_ring.h"

#include <bit>

namespace shoal {

static_assert(std::endian::native == std::endian::little,
              "the sequence is the header's low half, and Cap'n Proto words are little-endian");

void SlotWriter::Publish(SlotKind kind, std::span<const uint64_t> inline_words,
                         std::span<const BlockDescriptor> blocks) {
  uint64_t at = WritePayload(0, inline_words.data(), inline_words.size());
  WritePayload(at, blocks.data(), 2 * blocks.size());
  const uint32_t slots = SlotsFor(inline_words.size(), blocks.size());
  for (uint32_t i = 1; i < slots; ++i) {
    // relaxed: the first slot's header orders them.
    StoreHeader(next_ + i, {.kind = SlotKind::kMore}, std::memory_order_relaxed);
  }
  StoreHeader(next_,
              {.kind = kind,
               .inline_words = static_cast<uint8_t>(inline_words.size()),
               .blocks = static_cast<uint16_t>(blocks.size())},
              std::memory_order_seq_cst);
  next_ += slots;
}

uint64_t SlotWriter::WritePayload(uint64_t at, const void* source, uint64_t words) {
  auto from = static_cast<const char*>(source);
  while (words > 0) {
    Slot& slot = At(next_ + at / Slot::kWords);
    const uint64_t first = at % Slot::kWords;
    const uint64_t part = std::min(words, Slot::kWords - first);
    std::memcpy(&slot.words[first], from, part * sizeof(uint64_t));
    from += part * sizeof(uint64_t);
    at += part;
    words -= part;
  }
  return at;
}

void SlotWriter::StoreHeader(uint64_t position, SlotHeader header, std::memory_order order) {
  header.sequence = static_cast<uint32_t>(position + 1);
  At(position).header.store(std::bit_cast<uint64_t>(header), order);
}

std::optional<SlotHeader> SlotReader::Next() const {
  // seq_cst: its partner is the writer's store of the header, and acquires the payload. The look of
  // a reader that is about to park is Ready().
  const uint64_t header = At(next_).header.load(std::memory_order_seq_cst);
  if (Sequence(header) == Stale()) {
    return std::nullopt;
  }
  return std::bit_cast<SlotHeader>(header);
}

void SlotReader::ReadPayload(uint64_t at, void* target, uint64_t words) const {
  auto to = static_cast<char*>(target);
  while (words > 0) {
    const Slot& slot = At(next_ + at / Slot::kWords);
    const uint64_t first = at % Slot::kWords;
    const uint64_t part = std::min(words, Slot::kWords - first);
    std::memcpy(to, &slot.words[first], part * sizeof(uint64_t));
    to += part * sizeof(uint64_t);
    at += part;
    words -= part;
  }
}

}  // namespace shoal
