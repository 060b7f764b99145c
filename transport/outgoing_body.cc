#include "shoal/transport/outgoing_body.h"

#include <errno.h>
#include <fcntl.h>
#include <sanitizer/asan_interface.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "kj/exception.h"
#include "shoal/transport/system_error.h"

namespace shoal {
namespace {

// A builder that runs out of room asks for what it needs next, often one word for a landing pad. A
// small block serves that; each further one doubles, so that a message built in small steps has few
// segments. What is large by itself gets its own size and says nothing about what comes next.
constexpr uint32_t kFirstGrowthWords = BlockAllocator::kGranuleWords;
constexpr uint32_t kLastGrowthWords = 1 << 16;
constexpr uint32_t kLargeWords = 1 << 12;

// What is built on the heap may go over a stream, and Cap'n Proto's own readers of that take at
// most 511 segments. On the heap room that is not used costs only addresses, so each segment is as
// large as all before it.
constexpr uint32_t kLastHeapGrowthWords = 1 << 24;

// What no builder writes by chance.
constexpr uint64_t kEndedScratch = 0x6465646e65206d67;

}  // namespace

bool OutgoingBody::untouched() const {
  ASAN_UNPOISON_MEMORY_REGION(scratch_, sizeof(scratch_));
  return !ended_ || std::all_of(std::begin(scratch_), std::end(scratch_),
                                [](uint64_t word) { return word == kEndedScratch; });
}

void OutgoingBody::Begin(uint32_t hint_words) {
  ASAN_UNPOISON_MEMORY_REGION(scratch_, sizeof(scratch_));
  hint_words_ = hint_words;
  growth_words_ = kFirstGrowthWords;
  scratch_taken_ = hint_words > Slot::kWords;
  published_.store(false, std::memory_order_relaxed);
  std::memset(scratch_, 0, sizeof(scratch_));
  builder_.emplace(*this);
}

uint64_t OutgoingBody::SizeInWords() {
  uint64_t words = 0;
  for (const auto& segment : segments()) {
    words += segment.size();
  }
  return words;
}

bool OutgoingBody::Owns(const capnp::word* begin) {
  return begin == reinterpret_cast<const capnp::word*>(scratch_) || BlockOf(begin) != nullptr ||
         std::any_of(heap_.begin(), heap_.end(),
                     [=](const auto& memory) { return memory.get() == begin; });
}

absl::Status OutgoingBody::CopyFds() {
  if (!copied_fds_.empty()) {
    return absl::OkStatus();
  }
  for (const int fd : fds_) {
    UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) {
      const int error = errno;
      copied_fds_.clear();
      return error == EBADF ? absl::InvalidArgumentError(
                                  absl::StrCat("descriptor ", fd, " of a message is not open"))
                            : SystemError(error, "copying the descriptors of a message");
    }
    copied_fds_.push_back(std::move(copy));
  }
  for (size_t i = 0; i < fds_.size(); ++i) {
    fds_[i] = copied_fds_[i].get();
  }
  return absl::OkStatus();
}

void OutgoingBody::Freeze() {
  const Segments built = segments();
  // Next to no message has any, and then this costs nothing.
  if (std::all_of(built.begin(), built.end(),
                  [this](const auto& segment) { return Owns(segment.begin()); })) {
    return;
  }
  std::vector<kj::ArrayPtr<const capnp::word>> frozen(built.begin(), built.end());
  for (kj::ArrayPtr<const capnp::word>& segment : frozen) {
    if (!Owns(segment.begin())) {
      void* copy = std::malloc(segment.asBytes().size());
      KJ_REQUIRE(copy != nullptr, "no memory for a message segment", segment.size());
      heap_.emplace_back(copy);
      std::memcpy(copy, segment.begin(), segment.asBytes().size());
      segment = kj::arrayPtr(static_cast<const capnp::word*>(copy), segment.size());
    }
  }
  frozen_ = std::move(frozen);
}

HeldBlock* OutgoingBody::BlockOf(const capnp::word* begin) {
  const auto found = std::find_if(blocks_.begin(), blocks_.end(),
                                  [=](const HeldBlock& held) { return held.begin == begin; });
  return found == blocks_.end() ? nullptr : &*found;
}

kj::ArrayPtr<capnp::word> OutgoingBody::Allocate(uint32_t minimum_words) {
  if (!scratch_taken_ && minimum_words <= Slot::kWords) {
    scratch_taken_ = true;
    return kj::arrayPtr(reinterpret_cast<capnp::word*>(scratch_), size_t{Slot::kWords});
  }
  scratch_taken_ = true;
  uint32_t words = std::max(minimum_words, std::exchange(hint_words_, 0));
  if (link_ == nullptr || !link_->MayClaim()) {
    words = std::max(words, growth_words_);
    growth_words_ = std::min(growth_words_ + words, kLastHeapGrowthWords);
    return AllocateOnHeap(minimum_words, words);
  }
  if (words <= kLargeWords || words <= growth_words_) {
    words = std::max(words, growth_words_);
    growth_words_ = std::min(2 * words, kLastGrowthWords);
  }
  std::optional<HeldBlock> block = ClaimBlock(words);
  if (!block && words > minimum_words) {
    block = ClaimBlock(minimum_words);
  }
  if (block) {
    Hold(*block);
    return kj::arrayPtr(block->memory(), size_t{block->block.words});
  }
  return AllocateOnHeap(minimum_words, minimum_words);
}

kj::ArrayPtr<capnp::word> OutgoingBody::AllocateOnHeap(uint32_t minimum_words, uint32_t words) {
  void* memory = std::calloc(words, sizeof(capnp::word));
  if (memory == nullptr) {
    words = minimum_words;
    memory = std::calloc(words, sizeof(capnp::word));
  }
  KJ_REQUIRE(memory != nullptr, "no memory for a message segment", words);
  heap_.emplace_back(memory);
  return kj::arrayPtr(static_cast<capnp::word*>(memory), words);
}

std::optional<HeldBlock> OutgoingBody::ClaimBlock(uint32_t words) {
  return WritingLock(*link_).Claim(words);
}

void OutgoingBody::Clear() {
  if (!blocks_.empty()) {
    for (const auto& segment : segments()) {
      if (HeldBlock* held = BlockOf(segment.begin())) {
        held->used_words = static_cast<uint32_t>(segment.size());
      }
    }
  }
  builder_.reset();
#ifndef NDEBUG
  std::fill(std::begin(scratch_), std::end(scratch_), kEndedScratch);
  ended_ = true;
#endif
  ASAN_POISON_MEMORY_REGION(scratch_, sizeof(scratch_));
  Thaw();
  if (!fds_.empty()) {
    SetFds({});
  }
  heap_.clear();
}

void OutgoingBody::GiveBack() {
  if (link_ == nullptr || !link_->outgoing.Give(this)) {
    delete this;
  }
}

}  // namespace shoal
