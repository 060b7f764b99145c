// A message being built: its Cap'n Proto builder and the memory under it.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "capnp/message.h"
#include "shoal/transport/fragments.h"
#include "shoal/transport/link.h"
#include "shoal/transport/slot_ring.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// The first segment is a scratch of 31 words, which goes into a slot; what does not fit is in
// blocks of the outbox, where the peer reads it; and when no block is free, on the heap. Bodies are
// recycled: building a message allocates nothing once as many exist as are in use at a time.
// Without a link all of it is built on the heap, and the body deletes itself when it is let go.
//
// Built by one thread at a time, and published on the writing thread; let go on any (see BodyRef).
// What a thread builds that may not claim blocks (see Link::MayClaim) is on the heap.
class OutgoingBody {
 public:
  // Who makes them: those of the Sender are used again.
  enum class Origin { kSender, kAnyThread };

  explicit OutgoingBody(std::shared_ptr<Link> link, Origin origin = Origin::kAnyThread)
      : link_(std::move(link)), origin_(origin) {}
  OutgoingBody(const OutgoingBody&) = delete;
  OutgoingBody& operator=(const OutgoingBody&) = delete;

  // Begins a message, with room for `hint_words` in its first segment.
  void Begin(uint32_t hint_words);

  // False if a builder of the message before has changed what was no longer its own; known in debug
  // builds alone. Before Begin().
  bool untouched() const;

  capnp::MessageBuilder& builder() { return *builder_; }

  Origin origin() const { return origin_; }

  // Whether it was published: it must not be changed then. Any thread.
  // relaxed, here and below: it orders nothing.
  bool published() const { return published_.load(std::memory_order_relaxed); }
  void SetPublished() { published_.store(true, std::memory_order_relaxed); }

  // The link whose memory it is built in; none if it is the heap's.
  const Link* link() const { return link_.get(); }

  // What has been built so far, in the order of the segments' numbers. Valid until it is built
  // further.
  Segments segments() {
    return frozen_.empty() ? builder_->getSegmentsForOutput()
                           : kj::arrayPtr(frozen_.data(), frozen_.size());
  }

  // For a message that is published and has to wait: copies what memory of it is not its own
  // (Orphanage::referenceExternalData), so that its owner may do what he likes with it. What is
  // built further is not seen before Thaw().
  void Freeze();
  void Thaw() { frozen_.clear(); }

  // The descriptors that go with it: the caller's, or copies after CopyFds(), which have the same
  // purpose as Freeze(). kResourceExhausted: this process can have no more; kInvalidArgument: one
  // is not open.
  std::span<const int> fds() const { return fds_; }
  void SetFds(std::span<const int> fds) {
    fds_.assign(fds.begin(), fds.end());
    copied_fds_.clear();
  }
  absl::Status CopyFds();

  // The size in words, all segments together. Unlike the builder's own sizeInWords(), also of a
  // message in which nothing has been built yet.
  uint64_t SizeInWords();

  // Whether `segment` is the scratch.
  bool InScratch(const kj::ArrayPtr<const capnp::word>& segment) const {
    return segment.begin() == reinterpret_cast<const capnp::word*>(scratch_);
  }

  // Whether the memory at `begin`, where a segment begins, is this message's or its outbox's.
  bool Owns(const capnp::word* begin);

  // The block that holds the segment that begins at `begin`, or nullptr: it is on the heap, or
  // memory of the user's own.
  HeldBlock* BlockOf(const capnp::word* begin);

  // Holds a further block until the message is gone, and returns it.
  HeldBlock& Hold(const HeldBlock& block) { return blocks_.emplace_back(block); }

  // The blocks of a message that is gone, to be dropped by the writing thread before the next
  // Begin().
  absl::InlinedVector<HeldBlock, 4>& blocks() { return blocks_; }

  OutgoingBody* next = nullptr;  // FreeList's

 private:
  friend class BodyRef;

  class Builder final : public capnp::MessageBuilder {
   public:
    explicit Builder(OutgoingBody& body) : body_(body) {}
    kj::ArrayPtr<capnp::word> allocateSegment(capnp::uint minimum) override {
      return body_.Allocate(minimum);
    }

   private:
    OutgoingBody& body_;
  };

  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };

  kj::ArrayPtr<capnp::word> Allocate(uint32_t minimum_words);
  // At least `minimum_words`, and `words` if there is memory for that.
  kj::ArrayPtr<capnp::word> AllocateOnHeap(uint32_t minimum_words, uint32_t words);
  std::optional<HeldBlock> ClaimBlock(uint32_t words);
  // Ends the message; `blocks()` are left.
  void Clear();
  void GiveBack();

  std::atomic<uint32_t> references_ = 0;
  std::atomic<bool> published_ = false;
  const std::shared_ptr<Link> link_;
  const Origin origin_;
  uint32_t hint_words_ = 0;
  bool ended_ = false;  // a message was here before, and its scratch is marked: in debug builds
  uint32_t growth_words_ = 0;  // the next segment's size, if it is asked for little
  bool scratch_taken_ = false;
  absl::InlinedVector<HeldBlock, 4> blocks_;
  absl::InlinedVector<std::unique_ptr<void, Free>, 1> heap_;
  std::vector<kj::ArrayPtr<const capnp::word>> frozen_;  // the segments, if the builder's are not
  absl::InlinedVector<int, 1> fds_;
  absl::InlinedVector<UniqueFd, 1> copied_fds_;
  alignas(capnp::word) uint64_t scratch_[Slot::kWords];
  std::optional<Builder> builder_;  // last: it refers to the memory above while it is destroyed
};

// Shares a body; the last one to go ends the message. Any thread.
class BodyRef {
 public:
  BodyRef() = default;
  // The first to share `body`.
  explicit BodyRef(OutgoingBody* body) : body_(body) {
    // relaxed: nobody else has it.
    body->references_.store(1, std::memory_order_relaxed);
  }
  BodyRef(const BodyRef& other) : body_(other.body_) { Add(); }
  BodyRef(BodyRef&& other) noexcept : body_(std::exchange(other.body_, nullptr)) {}
  BodyRef& operator=(BodyRef other) noexcept {
    std::swap(body_, other.body_);
    return *this;
  }
  ~BodyRef() { Drop(); }

  OutgoingBody* get() const { return body_; }
  OutgoingBody* operator->() const { return body_; }
  OutgoingBody& operator*() const { return *body_; }
  explicit operator bool() const { return body_ != nullptr; }

  // Lets go of the body, and returns it if that ended the message: its blocks are to be dropped,
  // and it is the caller's.
  OutgoingBody* Finish() {
    OutgoingBody* body = std::exchange(body_, nullptr);
    if (!Last(body)) {
      return nullptr;
    }
    body->Clear();
    return body;
  }

 private:
  void Add() {
    if (body_ != nullptr) {
      // relaxed: whoever copies a reference has one, so the count cannot reach zero meanwhile.
      body_->references_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  void Drop() {
    if (Last(body_)) {
      body_->Clear();
      body_->GiveBack();
    }
  }
  static bool Last(OutgoingBody* body) {
    // acq_rel, and acquire alone for the only owner, whom nobody can join meanwhile: the last one
    // sees what every other did with the body.
    return body != nullptr && (body->references_.load(std::memory_order_acquire) == 1 ||
                               body->references_.fetch_sub(1, std::memory_order_acq_rel) == 1);
  }

  OutgoingBody* body_ = nullptr;
};

}  // namespace shoal
