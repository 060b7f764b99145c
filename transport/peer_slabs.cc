#include "shoal/transport/peer_slabs.h"

#include <sanitizer/asan_interface.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/transport/options.h"

namespace shoal {

PeerSlab::~PeerSlab() {
  // Other memory will have these addresses.
  ASAN_UNPOISON_MEMORY_REGION(region_.data(), region_.size());
}

void PeerBlock::Borrow() const {
  ASAN_UNPOISON_MEMORY_REGION(words.data(), words.size_bytes());
  // relaxed: the reading thread alone adds, and looks.
  slab->borrowed_.fetch_add(1, std::memory_order_relaxed);
}

void PeerBlock::GiveBack() const {
  ASAN_POISON_MEMORY_REGION(words.data(), words.size_bytes());
  // release: its partner is the acquire in borrowed().
  slab->borrowed_.fetch_sub(1, std::memory_order_release);
}

absl::Status PeerSlabs::Add(uint32_t number, uint64_t bytes, UniqueFd fd, const Peer& peer) {
  if (number < next_number_) {
    return CorruptPeer(peer, "the number of a new slab", number,
                       absl::StrCat("at least ", next_number_));
  }
  if (slabs_.size() >= kMaxSlabs) {
    return CorruptPeer(peer, "slabs at a time", slabs_.size() + 1,
                       absl::StrCat("at most ", kMaxSlabs));
  }
  if (const uint64_t page = sysconf(_SC_PAGESIZE); bytes == 0 || bytes % page != 0) {
    return CorruptPeer(peer, "the bytes of a new slab", bytes,
                       absl::StrCat("a multiple of the page size, ", page));
  }
  if (bytes > ChannelOptions::kMaxSlabBytes) {  // whose words 32 bits count
    return CorruptPeer(peer, "the bytes of a new slab", bytes,
                       absl::StrCat("at most ", ChannelOptions::kMaxSlabBytes));
  }
  if (bytes > max_bytes_ - bytes_) {
    return CorruptPeer(peer, "the bytes of a new slab", bytes,
                       absl::StrCat("at most the ", max_bytes_ - bytes_,
                                    " that ChannelOptions::max_peer_slabs_bytes leaves"));
  }
  absl::StatusOr<Region> region = Region::Map(std::move(fd), bytes, pages_);
  if (!region.ok()) {
    return absl::Status(region.status().code(),
                        absl::StrCat(peer.Describe(), ": ", region.status().message()));
  }
  slabs_[number] = std::make_unique<PeerSlab>(*std::move(region));
  bytes_ += bytes;
  next_number_ = uint64_t{number} + 1;
  return absl::OkStatus();
}

absl::Status PeerSlabs::Drop(uint32_t number, const Peer& peer) {
  const auto found = slabs_.find(number);
  if (found == slabs_.end()) {
    return CorruptPeer(peer, "the number of a slab that it drops", number, "one that it added");
  }
  if (found->second->borrowed() > 0) {
    return CorruptPeer(peer, "blocks still lent in a slab that it drops", found->second->borrowed(),
                       "0");
  }
  bytes_ -= found->second->words().size_bytes();
  slabs_.erase(found);
  return absl::OkStatus();
}

std::optional<PeerBlock> PeerSlabs::Find(const BlockDescriptor& block) const {
  const auto found = slabs_.find(block.slab);
  if (found == slabs_.end()) {
    return std::nullopt;
  }
  const std::span<const capnp::word> words = found->second->words();
  if (uint64_t{block.offset_words} + block.words > words.size()) {
    return std::nullopt;
  }
  return PeerBlock{.slab = found->second.get(),
                   .words = words.subspan(block.offset_words, block.words)};
}

void PeerSlabs::Prefault() const {
  for (const auto& [number, slab] : slabs_) {
    slab->region().Prefault();
  }
}

}  // namespace shoal
