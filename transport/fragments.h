// A message that found no block, cut into slots by the writer and joined in the reader's heap.
//
// The fragments one after the other are the message in Cap'n Proto's stream format: a table of the
// segments' sizes, then the segments (https://capnproto.org/encoding.html).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "capnp/common.h"
#include "kj/common.h"
#include "shoal/transport/message_limit.h"
#include "shoal/transport/peer.h"

namespace shoal {

using Segments = kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>>;

// Cuts. Keeps its place between calls, because the ring may fill up at any slot.
class FragmentCutter {
 public:
  // Begins a message, of at least one segment. The segments must stay as they are until done().
  explicit FragmentCutter(Segments segments);

  // Nothing is left.
  bool done() const { return part_ > segments_.size(); }

  // Copies the next words, as many as there are and fit, and returns how many.
  uint32_t Next(std::span<uint64_t> target);

 private:
  // Part 0 is the table, part i the segment i - 1.
  std::span<const uint64_t> Part(size_t part) const;

  Segments segments_;
  std::vector<uint64_t> table_;
  size_t part_ = 0;
  size_t at_ = 0;  // words of that part which are gone
};

// A message in one piece of heap memory.
struct JoinedMessage {
  std::unique_ptr<capnp::word[]> words;
  absl::InlinedVector<kj::ArrayPtr<const capnp::word>, 4> segments;
};

// Joins. What it is given comes from the peer: sizes are checked before memory is taken for them.
class FragmentJoiner {
 public:
  explicit FragmentJoiner(MessageLimit limit) : limit_(limit) {}

  // True between the first fragment of a message and its last.
  bool joining() const { return !table_.empty(); }

  // How many of the words to come belong to this message for certain: at least one, as long as it
  // is not finished.
  uint64_t wanted() const;

  // Takes the next words. kDataLoss when they announce more than the limit, kResourceExhausted
  // when there is no memory for it.
  absl::Status Add(std::span<const uint64_t> words, const Peer& peer);

  // The message, once its last word was added.
  std::optional<JoinedMessage> TakeFinished();

  // Forgets the message begun.
  void Abandon();

 private:
  uint64_t segment_count() const { return (table_[0] & UINT32_MAX) + 1; }
  uint64_t table_words() const { return segment_count() / 2 + 1; }
  uint32_t segment_words(uint64_t segment) const;
  absl::Status Begin(const Peer& peer);

  const MessageLimit limit_;
  std::vector<uint64_t> table_;
  bool table_complete_ = false;
  std::unique_ptr<capnp::word[]> words_;
  uint64_t total_ = 0;
  uint64_t filled_ = 0;
};

}  // namespace shoal
