#include "shoal/transport/fragments.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"

namespace shoal {
namespace {

// More segments than any message built here has; bounds the table that a peer can make us keep.
constexpr uint64_t kMaxSegments = uint64_t{1} << 20;

}  // namespace

FragmentCutter::FragmentCutter(Segments segments)
    : segments_(segments), table_(segments.size() / 2 + 1) {
  std::vector<uint32_t> sizes{static_cast<uint32_t>(segments.size() - 1)};
  for (const auto& segment : segments) {
    sizes.push_back(static_cast<uint32_t>(segment.size()));
  }
  std::memcpy(table_.data(), sizes.data(), sizes.size() * sizeof(uint32_t));
}

std::span<const uint64_t> FragmentCutter::Part(size_t part) const {
  if (part == 0) {
    return table_;
  }
  const auto& segment = segments_[part - 1];
  return {reinterpret_cast<const uint64_t*>(segment.begin()), segment.size()};
}

uint32_t FragmentCutter::Next(std::span<uint64_t> target) {
  uint32_t taken = 0;
  while (!done()) {
    const std::span<const uint64_t> rest = Part(part_).subspan(at_);
    const size_t now = std::min(rest.size(), target.size() - taken);
    std::copy_n(rest.begin(), now, target.begin() + taken);
    taken += now;
    at_ += now;
    if (now < rest.size()) {
      return taken;
    }
    ++part_;
    at_ = 0;
  }
  return taken;
}

uint32_t FragmentJoiner::segment_words(uint64_t segment) const {
  const uint64_t entry = segment + 1;
  return static_cast<uint32_t>(table_[entry / 2] >> (32 * (entry % 2)));
}

uint64_t FragmentJoiner::wanted() const {
  if (table_complete_) {
    return total_ - filled_;
  }
  return table_.empty() ? 1 : table_words() - table_.size();
}

absl::Status FragmentJoiner::Add(std::span<const uint64_t> words, const Peer& peer) {
  while (!table_complete_ && !words.empty()) {
    table_.push_back(words[0]);
    words = words.subspan(1);
    if (segment_count() > kMaxSegments) {
      return CorruptPeer(peer, "the segment count of a message in fragments", segment_count(),
                         absl::StrCat("at most ", kMaxSegments));
    }
    if (table_.size() == table_words()) {
      if (absl::Status begun = Begin(peer); !begun.ok()) {
        return begun;
      }
    }
  }
  if (words.size() > total_ - filled_) {
    return CorruptPeer(peer, "the words of a message in fragments", filled_ + words.size(),
                       absl::StrCat("at most the ", total_, " announced"));
  }
  if (!words.empty()) {
    std::memcpy(static_cast<void*>(words_.get() + filled_), words.data(), words.size_bytes());
    filled_ += words.size();
  }
  return absl::OkStatus();
}

absl::Status FragmentJoiner::Begin(const Peer& peer) {
  uint64_t total = 0;
  for (uint64_t i = 0; i < segment_count(); ++i) {
    total += segment_words(i);
  }
  if (total > limit_.words) {
    Abandon();
    return CorruptPeer(peer, "the size in words of a message in fragments", total,
                       absl::StrCat("at most ", limit_.Describe()));
  }
  // Left uninitialised, so that a peer that announces much and sends little costs only addresses.
  words_.reset(new (std::nothrow) capnp::word[total]);
  if (words_ == nullptr) {
    Abandon();
    return absl::ResourceExhaustedError(absl::StrCat("no memory for a message of ", total,
                                                     " words from ", peer.Describe(),
                                                     "; lower ChannelOptions::max_message_words"));
  }
  table_complete_ = true;
  total_ = total;
  return absl::OkStatus();
}

std::optional<JoinedMessage> FragmentJoiner::TakeFinished() {
  if (!table_complete_ || filled_ < total_) {
    return std::nullopt;
  }
  JoinedMessage message;
  const capnp::word* next = words_.get();
  for (uint64_t i = 0; i < segment_count(); ++i) {
    message.segments.push_back(kj::arrayPtr(next, segment_words(i)));
    next += segment_words(i);
  }
  message.words = std::move(words_);
  Abandon();
  return message;
}

void FragmentJoiner::Abandon() {
  table_.clear();
  table_complete_ = false;
  words_.reset();
  total_ = 0;
  filled_ = 0;
}

}  // namespace shoal
