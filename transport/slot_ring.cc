#include "shoal/transport/slot_ring.h"

#include <array>
#include <cstring>

namespace shoal {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the sequence is the header's low half, and Cap'n Proto words are little-endian");

// Few words go one by one, which takes half as long as memcpy(), whose wide loads overlap and wait
// for lines that have just come from the other CPU (measured). relaxed: the header orders them.
// Atomic, so that the compiler does not make a memcpy() of it.
void CopyWords(uint64_t* to, const uint64_t* from, uint64_t words) {
  constexpr uint64_t kFew = 15;  // two lines, with the header
  if (words > kFew) {
    std::memcpy(to, from, words * sizeof(uint64_t));
    return;
  }
  for (uint64_t i = 0; i < words; ++i) {
    __atomic_store_n(&to[i], __atomic_load_n(&from[i], __ATOMIC_RELAXED), __ATOMIC_RELAXED);
  }
}

}  // namespace

void SlotWriter::Publish(SlotKind kind, std::span<const uint64_t> inline_words,
                         std::span<const BlockDescriptor> blocks) {
  uint64_t at = WritePayload(0, inline_words);
  for (const BlockDescriptor& block : blocks) {
    at = WritePayload(at, std::bit_cast<std::array<uint64_t, 2>>(block));
  }
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

void SlotWriter::PublishSegment(std::span<const uint64_t> words) {
  const std::optional<uint16_t> sizes = words.empty() ? std::nullopt : StructSizes(words[0]);
  if (!sizes) {
    Publish(SlotKind::kMessage, words);
    return;
  }
  WritePayload(0, words.subspan(1));
  StoreHeader(next_,
              {.kind = SlotKind::kStruct,
               .inline_words = static_cast<uint8_t>(words.size()),
               .blocks = *sizes},
              std::memory_order_seq_cst);
  ++next_;
}

uint64_t SlotWriter::WritePayload(uint64_t at, std::span<const uint64_t> words) {
  while (!words.empty()) {
    uint64_t* to = &At(next_ + at / Slot::kWords).words[at % Slot::kWords];
    const uint64_t part = std::min<uint64_t>(words.size(), Slot::kWords - at % Slot::kWords);
    CopyWords(to, words.data(), part);
    words = words.subspan(part);
    at += part;
  }
  return at;
}

void SlotWriter::StoreHeader(uint64_t position, SlotHeader header, std::memory_order order) {
  header.sequence = static_cast<uint32_t>(position + 1);
  At(position).header.store(std::bit_cast<uint64_t>(header), order);
}

void SlotReader::ReadPayload(uint64_t at, std::span<uint64_t> words) const {
  while (!words.empty()) {
    const uint64_t* from = &At(next_ + at / Slot::kWords).words[at % Slot::kWords];
    const uint64_t part = std::min<uint64_t>(words.size(), Slot::kWords - at % Slot::kWords);
    CopyWords(words.data(), from, part);
    words = words.subspan(part);
    at += part;
  }
}

}  // namespace shoal
