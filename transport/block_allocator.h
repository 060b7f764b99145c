// Divides a slab into blocks, and knows when each may be used again.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>

#include "capnp/common.h"

namespace shoal {

// Hands out the blocks of one slab; each holds one Cap'n Proto message segment.
//
// The owner of the outbox has one for each slab. All its bookkeeping is private memory, so nothing
// that the peer does can corrupt it: 16 bytes and one bit for each granule of 512 bytes, allocated
// once in the constructor. The slab itself is written by Clear() alone and never read. Not
// synchronised: one thread at a time.
//
// Two bits a block, mine and the peer's, say who still uses it:
//
//     Claim() ---> mine --- Lend() ---> mine + peer's --- Drop() -------> peer's
//                    |                        |                             |
//                  Drop()                TakeBack()                     TakeBack()
//                    v                        v                             v
//                  free                     mine --- Drop() ---> free     free
//
// Claim, Trim, Lend, Drop and TakeBack take constant time. The algorithm is two-level segregated
// fit (M. Masmano, I. Ripoll, A. Crespo, J. Real, "TLSF: a new dynamic memory allocator for
// real-time systems", ECRTS 2004): a free list for each class of sizes, bitmaps of the lists that
// hold something, neighbours merged at once. Two things differ, because touching a page for the
// first time costs far more than copying it, and thus memory that was used before comes first:
//   - The class of the very size asked for is tried before the larger ones, so a block that was
//     just freed serves the next claim of its size.
//   - The free block at the slab's end, most of which is untouched as long as the slab is young, is
//     in a class of its own, the last one tried.
class BlockAllocator {
 public:
  // Blocks begin at multiples of this and their sizes are multiples of it.
  static constexpr uint32_t kGranuleWords = 64;

  // A piece of the slab. Both in words, the offset from the slab's beginning.
  struct Block {
    uint32_t offset_words;
    uint32_t words;

    bool operator==(const Block&) const = default;
  };

  // For a slab of `slab_words` words, all zero. Words beyond the last whole granule are not used,
  // nor those beyond the last granule that a block's 32-bit offset reaches.
  // If the memory for the bookkeeping can't be had, the slab counts as having no words, and all
  // claims fail.
  explicit BlockAllocator(uint64_t slab_words);

  BlockAllocator(const BlockAllocator&) = delete;
  BlockAllocator& operator=(const BlockAllocator&) = delete;

  // A block of at least `words` words, rounded up to whole granules (one for 0), which is mine from
  // now on. It contains what its last users left there: see Clear. Empty if none is free: succeeds
  // up to LargestClaimWords().
  std::optional<Block> Claim(uint32_t words);

  // Frees all of a claimed block but the granules that hold its first `used_words` words (one for
  // 0), and returns what is left. Not after Lend: the peer knows the block by its size.
  Block Trim(Block block, uint32_t used_words);

  // The peer is told of the block, which must be mine and not lent already.
  void Lend(Block block);

  // The owner's builder is gone. Once a claim.
  void Drop(Block block);

  // The peer's receipt came back. Once for each Lend. A receipt is the peer's word: look it up with
  // LentBlockAt first.
  void TakeBack(Block block);

  // The block that begins at this offset, if there is one and the peer has it. Any value may be
  // asked for.
  std::optional<Block> LentBlockAt(uint32_t offset_words) const;

  // Says that the block's first `used_words` words, at most its size, have been written. To be
  // called before they are given away with Trim, Drop or TakeBack.
  void MarkDirty(Block block, uint32_t used_words);

  // Makes a claimed block zero, as a builder wants it. Writes only the granules that are dirty,
  // which then are not. `slab` is where the slab begins in the owner's mapping. A block can be
  // cleared ahead of time, while idle, by Claim, Clear and Drop.
  void Clear(Block block, capnp::word* slab);

  // What the slab can hold in all.
  uint32_t slab_words() const { return granule_count_ * kGranuleWords; }

  uint32_t free_words() const { return free_granules_ * kGranuleWords; }

  // Blocks that are not free, whoever has them.
  uint32_t claimed_blocks() const { return claimed_blocks_; }

  // Those of them that the peer has.
  uint32_t lent_blocks() const { return lent_blocks_; }

  // The largest claim that succeeds now. May be less than the largest free block, by under 1/32 of
  // it, when its free list begins with a smaller one. Constant time.
  uint32_t LargestClaimWords() const;

 private:
  // What is known of one granule. Blocks tile the slab, and of each block only the first and the
  // last granule are kept up to date; those in between may say what was true of earlier blocks.
  struct Granule {
    // First: the block's size in granules. Last: the same if the block is free.
    uint32_t block_granules;
    // First and last: the block is in a free list.
    bool free;
    // First: the two bits. False in all granules that are not first.
    bool mine;
    bool peers;
    // First of a free block: its neighbours in the free list, or kNone.
    uint32_t newer;
    uint32_t older;
  };
  static_assert(sizeof(Granule) == 16, "the class comment promises it");

  // Stands for no granule, or no class.
  static constexpr uint32_t kNone = UINT32_MAX;

  // Classes of sizes in granules; class / 32 is the class's level. Level 0 has one class for each
  // size below 32; each later level splits the sizes from one power of two to the next in 32
  // classes. The wilderness, the free block at the slab's end, is alone in the last class.
  static constexpr uint32_t kClassBits = 5;
  static constexpr uint32_t kClassesPerLevel = 1 << kClassBits;
  static constexpr uint32_t kWildernessLevel = 22;
  static constexpr uint32_t kWilderness = kWildernessLevel * kClassesPerLevel;
  static constexpr uint32_t kLevels = kWildernessLevel + 1;
  static_assert(UINT32_MAX / kGranuleWords >> (kWildernessLevel + kClassBits - 1) == 0,
                "the largest slab's class is below the wilderness");

  struct FreeDeleter {
    void operator()(void* memory) const { std::free(memory); }
  };

  static uint32_t GranulesFor(uint32_t words);
  static uint32_t ClassForSize(uint32_t granules);
  uint32_t ClassOfFreeBlock(uint32_t first) const;
  bool IsInUse(uint32_t size_class) const;

  // The lowest class greater than `size_class` that holds a block, or kNone.
  uint32_t NextClassInUse(uint32_t size_class) const;

  // The first granule of a free block of at least this size, or kNone.
  uint32_t FindFree(uint32_t granules) const;

  // Adds a free block to its list, or takes it out.
  void Insert(uint32_t first, uint32_t granules);
  void Remove(uint32_t first);

  // Frees granules that belong to no block now, together with the free neighbours.
  void Free(uint32_t first, uint32_t granules);

  // Frees the block if neither end uses it any more.
  void FreeIfDone(uint32_t first);

  // The granule whose entry stands for this block. Asserts that the block is one.
  uint32_t FirstGranule(Block block) const;

  // The first granule in [begin, end) that is dirty, or is clean; `end` if none is.
  uint32_t FirstDirty(uint32_t begin, uint32_t end) const;
  uint32_t FirstClean(uint32_t begin, uint32_t end) const;

  // Zeroed by calloc and not touched here, so a page of it is paid for when its part of the slab is
  // used: a large slab costs nothing in advance.
  std::unique_ptr<Granule[], FreeDeleter> granules_;
  // Bit number % 64 of element number / 64: the granule has been written and not cleared since.
  std::unique_ptr<uint64_t[], FreeDeleter> dirty_;
  uint32_t granule_count_;
  uint32_t free_granules_ = 0;
  uint32_t claimed_blocks_ = 0;
  uint32_t lent_blocks_ = 0;
  // Bit `level`: one of the level's classes holds a block.
  uint32_t levels_in_use_ = 0;
  // For each level, bit `class % 32`: the class holds a block.
  std::array<uint32_t, kLevels> classes_in_use_{};
  // For each class in use, the first granule of the block that came into it last.
  std::array<uint32_t, kWilderness + 1> newest_{};
};

}  // namespace shoal
