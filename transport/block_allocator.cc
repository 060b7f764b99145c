#include "shoal/transport/block_allocator.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

namespace shoal {
namespace {

constexpr uint32_t kBitsPerElement = 64;

// Bits [from, 64) of an element.
uint64_t BitsFrom(uint32_t from) { return ~uint64_t{0} << from; }

// Bits [0, count) of an element, count not 0.
uint64_t FirstBits(uint32_t count) { return ~uint64_t{0} >> (kBitsPerElement - count); }

// Calls visit(element, mask) for each element that holds bits of [begin, end); the mask is those
// bits.
template <typename Visitor>
void ForEachElement(uint32_t begin, uint32_t end, Visitor visit) {
  while (begin < end) {
    const uint32_t element = begin / kBitsPerElement;
    const uint32_t element_begin = element * kBitsPerElement;
    const uint32_t stop = std::min(end, element_begin + kBitsPerElement);
    visit(element, BitsFrom(begin - element_begin) & FirstBits(stop - element_begin));
    begin = stop;
  }
}

// The number of the first bit in [begin, end) that is set in `bits` once each element is xored with
// `flip`; `end` if there is none.
uint32_t FirstBit(const uint64_t* bits, uint64_t flip, uint32_t begin, uint32_t end) {
  while (begin < end) {
    const uint32_t element = begin / kBitsPerElement;
    const uint64_t found = (bits[element] ^ flip) & BitsFrom(begin % kBitsPerElement);
    if (found != 0) {
      return std::min<uint32_t>(end, element * kBitsPerElement + std::countr_zero(found));
    }
    begin = (element + 1) * kBitsPerElement;
  }
  return end;
}

// Numbers of the lowest and the highest bit set in a bitmap that is not 0.
uint32_t LowestBit(uint32_t bitmap) { return std::countr_zero(bitmap); }
uint32_t HighestBit(uint32_t bitmap) { return std::bit_width(bitmap) - 1; }

// The bits of a bitmap whose numbers are greater than `bit`.
uint32_t BitsAbove(uint32_t bitmap, uint32_t bit) { return bitmap & (~uint32_t{1} << bit); }

}  // namespace

BlockAllocator::BlockAllocator(uint64_t slab_words)
    : granule_count_(static_cast<uint32_t>(std::min<uint64_t>(slab_words, UINT32_MAX)) /
                     kGranuleWords) {
  const size_t dirty_elements = size_t{granule_count_} / kBitsPerElement + 1;
  granules_.reset(static_cast<Granule*>(std::calloc(granule_count_, sizeof(Granule))));
  dirty_.reset(static_cast<uint64_t*>(std::calloc(dirty_elements, sizeof(uint64_t))));
  if (granules_ == nullptr || dirty_ == nullptr) {
    granule_count_ = 0;
  }
  if (granule_count_ == 0) {
    return;
  }
  Insert(0, granule_count_);
}

std::optional<BlockAllocator::Block> BlockAllocator::Claim(uint32_t words) {
  const uint32_t wanted = GranulesFor(words);
  const uint32_t first = FindFree(wanted);
  if (first == kNone) {
    return std::nullopt;
  }
  const uint32_t found = granules_[first].block_granules;
  Remove(first);
  // The rest's upper neighbour is not free, or it would have been part of the block.
  if (found > wanted) {
    Insert(first + wanted, found - wanted);
  }
  granules_[first + wanted - 1].free = false;
  granules_[first] = {.block_granules = wanted,
                      .free = false,
                      .mine = true,
                      .peers = false,
                      .newer = kNone,
                      .older = kNone};
  ++claimed_blocks_;
  return Block{.offset_words = first * kGranuleWords, .words = wanted * kGranuleWords};
}

BlockAllocator::Block BlockAllocator::Trim(Block block, uint32_t used_words) {
  const uint32_t first = FirstGranule(block);
  assert(granules_[first].mine && !granules_[first].peers);
  const uint32_t before = granules_[first].block_granules;
  const uint32_t kept = GranulesFor(used_words);
  if (kept >= before) {
    return block;
  }
  granules_[first].block_granules = kept;
  granules_[first + kept - 1].free = false;
  Free(first + kept, before - kept);
  return Block{.offset_words = block.offset_words, .words = kept * kGranuleWords};
}

void BlockAllocator::Lend(Block block) {
  Granule& granule = granules_[FirstGranule(block)];
  assert(granule.mine && !granule.peers);
  granule.peers = true;
  ++lent_blocks_;
}

void BlockAllocator::Drop(Block block) {
  const uint32_t first = FirstGranule(block);
  assert(granules_[first].mine);
  granules_[first].mine = false;
  FreeIfDone(first);
}

void BlockAllocator::TakeBack(Block block) {
  const uint32_t first = FirstGranule(block);
  assert(granules_[first].peers);
  granules_[first].peers = false;
  --lent_blocks_;
  FreeIfDone(first);
}

std::optional<BlockAllocator::Block> BlockAllocator::LentBlockAt(uint32_t offset_words) const {
  const uint32_t first = offset_words / kGranuleWords;
  if (offset_words % kGranuleWords != 0 || first >= granule_count_ || !granules_[first].peers) {
    return std::nullopt;
  }
  return Block{.offset_words = offset_words,
               .words = granules_[first].block_granules * kGranuleWords};
}

void BlockAllocator::MarkDirty(Block block, uint32_t used_words) {
  assert(used_words <= block.words);
  if (used_words == 0) {
    return;
  }
  const uint32_t first = FirstGranule(block);
  ForEachElement(first, first + GranulesFor(used_words),
                 [this](uint32_t element, uint64_t bits) { dirty_[element] |= bits; });
}

void BlockAllocator::Clear(Block block, capnp::word* slab) {
  const uint32_t first = FirstGranule(block);
  const uint32_t end = first + block.words / kGranuleWords;
  uint32_t run = FirstDirty(first, end);
  while (run < end) {
    const uint32_t run_end = FirstClean(run, end);
    const size_t words = size_t{run_end - run} * kGranuleWords;
    std::memset(static_cast<void*>(slab + size_t{run} * kGranuleWords), 0,
                words * sizeof(capnp::word));
    ForEachElement(run, run_end,
                   [this](uint32_t element, uint64_t bits) { dirty_[element] &= ~bits; });
    run = FirstDirty(run_end, end);
  }
}

uint32_t BlockAllocator::LargestClaimWords() const {
  uint32_t largest = 0;
  if (IsInUse(kWilderness)) {
    largest = granules_[newest_[kWilderness]].block_granules;
  }
  const uint32_t levels = levels_in_use_ & ~(1u << kWildernessLevel);
  if (levels != 0) {
    const uint32_t level = HighestBit(levels);
    const uint32_t size_class = level * kClassesPerLevel + HighestBit(classes_in_use_[level]);
    largest = std::max(largest, granules_[newest_[size_class]].block_granules);
  }
  return largest * kGranuleWords;
}

uint32_t BlockAllocator::GranulesFor(uint32_t words) {
  // Not (words + kGranuleWords - 1) / kGranuleWords, which overflows.
  return std::max(1u, words / kGranuleWords + (words % kGranuleWords != 0));
}

uint32_t BlockAllocator::ClassForSize(uint32_t granules) {
  if (granules < kClassesPerLevel) {
    return granules;
  }
  // The bits behind the highest one are the class's number within its level.
  const uint32_t log2 = HighestBit(granules);
  const uint32_t level = log2 - kClassBits + 1;
  return level * kClassesPerLevel + (granules >> (log2 - kClassBits)) % kClassesPerLevel;
}

uint32_t BlockAllocator::ClassOfFreeBlock(uint32_t first) const {
  const uint32_t granules = granules_[first].block_granules;
  return first + granules == granule_count_ ? kWilderness : ClassForSize(granules);
}

bool BlockAllocator::IsInUse(uint32_t size_class) const {
  return classes_in_use_[size_class / kClassesPerLevel] >> size_class % kClassesPerLevel & 1;
}

uint32_t BlockAllocator::NextClassInUse(uint32_t size_class) const {
  const uint32_t level = size_class / kClassesPerLevel;
  const uint32_t in_level = BitsAbove(classes_in_use_[level], size_class % kClassesPerLevel);
  if (in_level != 0) {
    return level * kClassesPerLevel + LowestBit(in_level);
  }
  const uint32_t levels = BitsAbove(levels_in_use_, level);
  if (levels == 0) {
    return kNone;
  }
  const uint32_t next = LowestBit(levels);
  return next * kClassesPerLevel + LowestBit(classes_in_use_[next]);
}

uint32_t BlockAllocator::FindFree(uint32_t granules) const {
  // Sizes beyond the largest slab's have no class.
  if (granules > granule_count_) {
    return kNone;
  }
  const uint32_t own = ClassForSize(granules);
  if (IsInUse(own) && granules_[newest_[own]].block_granules >= granules) {
    return newest_[own];
  }
  const uint32_t larger = NextClassInUse(own);
  if (larger == kNone) {
    return kNone;
  }
  // All blocks of a later class are large enough, but for the wilderness, which may have any size.
  const uint32_t newest = newest_[larger];
  return granules_[newest].block_granules >= granules ? newest : kNone;
}

void BlockAllocator::Insert(uint32_t first, uint32_t granules) {
  granules_[first + granules - 1].block_granules = granules;
  granules_[first + granules - 1].free = true;
  Granule& granule = granules_[first];
  granule = {.block_granules = granules,
             .free = true,
             .mine = false,
             .peers = false,
             .newer = kNone,
             .older = kNone};
  const uint32_t size_class = ClassOfFreeBlock(first);
  if (IsInUse(size_class)) {
    granule.older = newest_[size_class];
    granules_[granule.older].newer = first;
  }
  newest_[size_class] = first;
  classes_in_use_[size_class / kClassesPerLevel] |= 1u << size_class % kClassesPerLevel;
  levels_in_use_ |= 1u << size_class / kClassesPerLevel;
  free_granules_ += granules;
}

void BlockAllocator::Remove(uint32_t first) {
  const Granule& granule = granules_[first];
  free_granules_ -= granule.block_granules;
  if (granule.older != kNone) {
    granules_[granule.older].newer = granule.newer;
  }
  if (granule.newer != kNone) {
    granules_[granule.newer].older = granule.older;
    return;
  }
  const uint32_t size_class = ClassOfFreeBlock(first);
  if (granule.older != kNone) {
    newest_[size_class] = granule.older;
    return;
  }
  const uint32_t level = size_class / kClassesPerLevel;
  classes_in_use_[level] &= ~(1u << size_class % kClassesPerLevel);
  if (classes_in_use_[level] == 0) {
    levels_in_use_ &= ~(1u << level);
  }
}

void BlockAllocator::Free(uint32_t first, uint32_t granules) {
  const uint32_t above = first + granules;
  if (above < granule_count_ && granules_[above].free) {
    granules += granules_[above].block_granules;
    Remove(above);
  }
  if (first > 0 && granules_[first - 1].free) {
    const uint32_t below = first - granules_[first - 1].block_granules;
    granules += granules_[below].block_granules;
    Remove(below);
    first = below;
  }
  Insert(first, granules);
}

void BlockAllocator::FreeIfDone(uint32_t first) {
  const Granule& granule = granules_[first];
  if (granule.mine || granule.peers) {
    return;
  }
  --claimed_blocks_;
  Free(first, granule.block_granules);
}

uint32_t BlockAllocator::FirstGranule(Block block) const {
  const uint32_t first = block.offset_words / kGranuleWords;
  assert(first < granule_count_);
  assert(granules_[first].mine || granules_[first].peers);
  assert(granules_[first].block_granules * kGranuleWords == block.words);
  return first;
}

uint32_t BlockAllocator::FirstDirty(uint32_t begin, uint32_t end) const {
  return FirstBit(dirty_.get(), 0, begin, end);
}

uint32_t BlockAllocator::FirstClean(uint32_t begin, uint32_t end) const {
  return FirstBit(dirty_.get(), ~uint64_t{0}, begin, end);
}

}  // namespace shoal
