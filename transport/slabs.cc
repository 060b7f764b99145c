#include "shoal/transport/slabs.h"

#include <sanitizer/asan_interface.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "shoal/transport/news.h"
#include "shoal/transport/options.h"
#include "shoal/transport/peer_slabs.h"

namespace shoal {
namespace {

// After memory or descriptors have run out, an attempt at every message would cost each of them
// some 20 us.
constexpr auto kPauseAfterFailure = std::chrono::milliseconds(10);

// A slab is looked at this many times in its idle time, and dropped one look early, so that it is
// gone within that time.
constexpr int kLooks = 4;

uint64_t RoundUp(uint64_t value, uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

constexpr uint64_t kSeveralBytes = 8 << 20;

}  // namespace

Slab::~Slab() {
  // Other memory will have these addresses.
  ASAN_UNPOISON_MEMORY_REGION(region.data(), region.size());
}

Slabs::Slabs(Region first, const SlabLimits& limits, Doorbell& doorbell, WriterCounters& counters)
    : limits_(limits), doorbell_(doorbell), counters_(counters) {
  slabs_.push_back(std::make_unique<Slab>(std::move(first)));
  NoteAdded(*slabs_.back());
}

std::optional<HeldBlock> Slabs::Claim(uint32_t words) {
  for (const std::unique_ptr<Slab>& slab : slabs_) {
    const std::optional<BlockAllocator::Block> block = slab->allocator.Claim(words);
    if (!block) {
      continue;
    }
    if (slab->idle_since) {
      slab->idle_since.reset();
      idle_bytes_ -= slab->region.size();
    }
    ASAN_UNPOISON_MEMORY_REGION(slab->words() + block->offset_words,
                                block->words * sizeof(capnp::word));
    slab->allocator.Clear(*block, slab->words());
    counters_.claimed_blocks.Add(1);
    return HeldBlock{
        .slab = slab.get(), .block = *block, .begin = slab->words() + block->offset_words};
  }
  return std::nullopt;
}

size_t Slabs::BytesToAdd(uint64_t needed_bytes) const {
  // An eighth of what is there, so that kMaxSlabs are enough for any limit. And room for several of
  // what is needed: where one such message comes others do, and a block that the peer has just read
  // is slower to write than one that it has not.
  const uint64_t page = limits_.pages == Region::Pages::kHuge
                            ? Region::HugePageBytes()
                            : static_cast<uint64_t>(getpagesize());
  const uint64_t wanted = RoundUp(std::max({uint64_t{limits_.slab_bytes}, needed_bytes,
                                            std::min(8 * needed_bytes, kSeveralBytes), bytes_ / 8}),
                                  page);
  const uint64_t allowed = limits_.max_bytes - std::min(bytes_, limits_.max_bytes);
  return std::min({wanted, allowed / page * page, uint64_t{ChannelOptions::kMaxSlabBytes}});
}

bool Slabs::Grow(uint32_t words) {
  constexpr uint64_t kGranuleBytes = BlockAllocator::kGranuleWords * sizeof(capnp::word);
  const uint64_t needed =
      RoundUp(std::max<uint64_t>(words, 1) * sizeof(capnp::word), kGranuleBytes);
  const size_t bytes = BytesToAdd(needed);
  if (bytes < needed || slabs_.size() >= kMaxSlabs || Clock::now() < grow_after_) {
    return false;
  }
  absl::StatusOr<Region> region = Region::Create(bytes, limits_.pages);
  if (!region.ok()) {
    grow_after_ = Clock::now() + kPauseAfterFailure;
    return false;
  }
  slabs_.push_back(std::make_unique<Slab>(*std::move(region)));
  NoteAdded(*slabs_.back());
  NoteIdle(*slabs_.back());
  // Now, because as long as its descriptor is open others can read in /proc what is built there.
  Announce(*slabs_.back()).IgnoreError();
  // release, though any order would do: who sees it takes the lock, which orders the rest.
  grown_.store(true, std::memory_order_release);
  return true;
}

absl::Status Slabs::Announce(Slab& slab) {
  if (slab.region.fd() < 0) {
    return absl::OkStatus();
  }
  absl::Status sent = SendSlabAdded(doorbell_, next_number_, slab.region.size(), slab.region.fd());
  if (sent.ok()) {
    slab.number = next_number_++;
    slab.region.ReleaseFd();
  }
  return sent;
}

void Slabs::Trim(HeldBlock& held, uint32_t used_words) {
  held.used_words = used_words;
  held.block = held.slab->allocator.Trim(held.block, used_words);
}

void Slabs::Lend(const HeldBlock& held) {
  held.slab->allocator.Lend(held.block);
  counters_.lent_blocks.Add(1);
}

void Slabs::Drop(const HeldBlock& held) {
  BlockAllocator& allocator = held.slab->allocator;
  const uint32_t claimed_before = allocator.claimed_blocks();
  ASAN_POISON_MEMORY_REGION(held.memory(), held.block.words * sizeof(capnp::word));
  allocator.MarkDirty(held.block, held.used_words);
  allocator.Drop(held.block);
  NoteFreed(*held.slab, claimed_before);
}

void Slabs::TakeBack(Slab& slab, BlockAllocator::Block block) {
  const uint32_t claimed_before = slab.allocator.claimed_blocks();
  slab.allocator.TakeBack(block);
  counters_.lent_blocks.Set(lent_blocks() - 1);
  NoteFreed(slab, claimed_before);
}

void Slabs::NoteAdded(const Slab& slab) {
  bytes_ += slab.region.size();
  counters_.slabs.Set(slabs_.size());
  counters_.slabs_bytes.Set(bytes_);
  counters_.huge_page_bytes.Add(slab.region.huge_page_bytes());
}

void Slabs::NoteFreed(Slab& slab, uint32_t claimed_before) {
  const uint32_t claimed = slab.allocator.claimed_blocks();
  counters_.claimed_blocks.Set(claimed_blocks() - (claimed_before - claimed));
  if (claimed == 0 && claimed_before > 0 && &slab != slabs_.front().get()) {
    NoteIdle(slab);
  }
}

void Slabs::NoteIdle(Slab& slab) {
  slab.idle_since = Clock::now();
  idle_bytes_ += slab.region.size();
}

absl::Duration Slabs::DropIdle() {
  if (idle_bytes_ > 0) {
    const Clock::time_point now = Clock::now();
    const auto idle_time =
        absl::ToChronoNanoseconds(std::min(limits_.idle_time, absl::Hours(24 * 365)));
    const auto dropped =
        std::remove_if(slabs_.begin() + 1, slabs_.end(), [&](const std::unique_ptr<Slab>& slab) {
          const bool idle = slab->idle_since.has_value();
          return idle &&
                 (idle_bytes_ > limits_.max_idle_bytes ||
                  now - *slab->idle_since >= idle_time / kLooks * (kLooks - 1)) &&
                 Forget(*slab);
        });
    slabs_.erase(dropped, slabs_.end());
    counters_.slabs.Set(slabs_.size());
    if (slabs_.size() == 1) {
      // release: see grown(). The last thing done here.
      grown_.store(false, std::memory_order_release);
      return absl::InfiniteDuration();
    }
  }
  return limits_.idle_time / kLooks;
}

bool Slabs::Forget(const Slab& slab) {
  const bool peer_knows = slab.region.fd() < 0;
  if (peer_knows && absl::IsResourceExhausted(SendSlabDropped(doorbell_, slab.number))) {
    return false;  // the peer reads its socket before it sleeps; later, then
  }
  idle_bytes_ -= slab.region.size();
  bytes_ -= slab.region.size();
  counters_.slabs_bytes.Set(bytes_);
  counters_.huge_page_bytes.Set(counters_.huge_page_bytes.value() - slab.region.huge_page_bytes());
  return true;
}

}  // namespace shoal
