#include "shoal/transport/sender.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shoal {

Sender::Sender(std::shared_ptr<Link> link)
    : link_(std::move(link)), ring_(link_->own.slots(), link_->own.shape().slots) {}

Sender::~Sender() {
  link_->open.store(false, std::memory_order_relaxed);
  link_->outgoing.Close();
}

BodyRef Sender::Claim(uint32_t hint_words) {
  OutgoingBody* body = NewBody();
#ifndef NDEBUG
  changed_ = changed_ || !body->untouched();
#endif
  ring_.Prefetch();
  body->Begin(hint_words);
  return BodyRef(body);
}

OutgoingBody* Sender::NewBody() {
  const WritingLock lock(*link_);
  TakeBackBodies();
  if (link_->slabs.grown()) {
    link_->slabs.DropIdle();
  }
  counters().claims.Set(++claims_);
  counters().most_claims.RaiseTo(claims_);
  if (idle_bodies_.empty()) {
    return new OutgoingBody(link_, OutgoingBody::Origin::kSender);
  }
  OutgoingBody* body = idle_bodies_.back().release();
  idle_bodies_.pop_back();
  return body;
}

void Sender::TakeBackBodies() {
  while (OutgoingBody* body = link_->outgoing.Take()) {
    TakeBack(body);
  }
}

void Sender::TakeBack(OutgoingBody* body) {
  for (const HeldBlock& held : body->blocks()) {
    link_->slabs.Drop(held);
  }
  body->blocks().clear();
  if (body->origin() != OutgoingBody::Origin::kSender) {
    delete body;
    return;
  }
  idle_bodies_.emplace_back(body);
  --claims_;
}

void Sender::Finish(BodyRef message) {
  message->SetPublished();
  if (OutgoingBody* body = message.Finish()) {
    const WritingLock lock(*link_);
    TakeBack(body);
  }
}

absl::StatusOr<bool> Sender::Offer(OutgoingBody& body) {
  if (abandoned_) {
    const absl::StatusOr<bool> room = HasRoom(1);
    if (!room.ok() || !*room) {
      return room;
    }
    ring_.Publish(SlotKind::kAbandon, {});
    abandoned_ = false;
  }
  if (!body.fds().empty() && !fds_sent_) {
    const absl::StatusOr<bool> sent = OfferFds(body.fds());
    if (!sent.ok() || !*sent) {
      return sent;
    }
  }
  if (cutter_) {
    return OfferFragments(body, cause_);
  }
  const Segments segments = body.segments();
  if (segments.size() == 1 && body.InScratch(segments[0])) {
    const absl::StatusOr<bool> room = HasRoom(1);
    if (!room.ok() || !*room) {
      return room;
    }
    ring_.PublishSegment(
        {reinterpret_cast<const uint64_t*>(segments[0].begin()), segments[0].size()});
    Published(segments);
    return true;
  }
  return OfferBlocks(body, segments);
}

absl::StatusOr<bool> Sender::OfferFds(std::span<const int> fds) {
  uint64_t& oldest = fd_packet_slots_[fd_packets_ % fd_packet_slots_.size()];
  const absl::StatusOr<bool> consumed = HasConsumed(oldest);
  if (!consumed.ok() || !*consumed) {
    return consumed;
  }
  const absl::StatusOr<bool> room = HasRoom(1);
  if (!room.ok() || !*room) {
    return room;
  }
  if (absl::Status sent = SendMessageFds(link_->doorbell, fds); !sent.ok()) {
    if (!absl::IsUnavailable(sent)) {
      return sent;
    }
    link_->doorbell.Look();
    return link_->PeerLeft();
  }
  const uint64_t count = fds.size();
  ring_.Publish(SlotKind::kFds, {&count, 1});
  oldest = ring_.published();
  ++fd_packets_;
  fds_sent_ = true;
  return true;
}

absl::StatusOr<bool> Sender::OfferBlocks(OutgoingBody& body, Segments segments) {
  std::span<const uint64_t> inline_words;
  Segments in_blocks = segments;
  if (segments.size() > 0 && body.InScratch(segments[0])) {
    inline_words = {reinterpret_cast<const uint64_t*>(segments[0].begin()), segments[0].size()};
    in_blocks = segments.slice(1, segments.size());
  }
  WritingLock lock(*link_);
  if (absl::Status collected = link_->loans.Collect(link_->peer); !collected.ok()) {
    return collected;
  }
  constexpr size_t kMostBlocks = std::numeric_limits<decltype(SlotHeader::blocks)>::max();
  const uint64_t slots_needed = (inline_words.size() + 2 * in_blocks.size()) / Slot::kWords + 1;
  if (slots_needed > MaxSlotsPerMessage(ring_.count()) || in_blocks.size() > kMostBlocks) {
    return OfferFragments(body, Cause::kSlots);
  }
  if (in_blocks.size() > link_->loans.available()) {
    return OfferFragments(body, Cause::kLoans);
  }
  const absl::StatusOr<bool> room =
      HasRoom(SlotsFor(inline_words.size(), static_cast<uint32_t>(in_blocks.size())));
  if (!room.ok() || !*room) {
    return room;
  }
  if (!MoveToBlocks(body, in_blocks, lock)) {
    return OfferFragments(body, Cause::kSlabs);
  }
  absl::InlinedVector<BlockDescriptor, 8> descriptors;
  for (const auto& segment : in_blocks) {
    HeldBlock& held = *body.BlockOf(segment.begin());
    link_->slabs.Trim(held, static_cast<uint32_t>(segment.size()));
    descriptors.push_back(link_->loans.Lend(held));
  }
  ring_.Publish(SlotKind::kMessage, inline_words, descriptors);
  Published(segments);
  return true;
}

bool Sender::MoveToBlocks(OutgoingBody& body, Segments in_blocks, WritingLock& lock) {
  const size_t held_before = body.blocks().size();
  for (const auto& segment : in_blocks) {
    HeldBlock* held = body.BlockOf(segment.begin());
    if (held == nullptr) {
      held = CopyToBlock(body, segment, lock);
    }
    if (held == nullptr || !link_->slabs.Announce(*held->slab).ok()) {
      // What was copied would be out of date if the message is abandoned, changed and offered anew.
      for (size_t i = held_before; i < body.blocks().size(); ++i) {
        link_->slabs.Drop(body.blocks()[i]);
      }
      body.blocks().erase(body.blocks().begin() + held_before, body.blocks().end());
      return false;
    }
  }
  return true;
}

HeldBlock* Sender::CopyToBlock(OutgoingBody& body, const kj::ArrayPtr<const capnp::word>& segment,
                               WritingLock& lock) {
  const auto words = static_cast<uint32_t>(segment.size());
  std::optional<HeldBlock> block = lock.Claim(words);
  if (!block) {
    return nullptr;
  }
  std::memcpy(static_cast<void*>(block->memory()), segment.begin(), words * sizeof(capnp::word));
  counters().copied_words.Add(words);
  block->begin = segment.begin();
  block->used_words = words;
  return &body.Hold(*block);
}

absl::Duration Sender::Trim() {
  if (!link_->slabs.grown()) {
    return absl::InfiniteDuration();
  }
  const std::lock_guard lock(link_->writing);
  if (!link_->slabs.grown()) {
    return absl::InfiniteDuration();  // meanwhile; the writing thread needs no lock any more
  }
  TakeBackBodies();
  link_->loans.Collect(link_->peer).IgnoreError();  // the next offer reports it
  return link_->slabs.DropIdle();
}

absl::StatusOr<bool> Sender::OfferFragments(OutgoingBody& body, Cause cause) {
  if (!cutter_) {
    cutter_.emplace(body.segments());
    cause_ = cause;
  }
  while (!cutter_->done()) {
    const absl::StatusOr<bool> room = HasRoom(1);
    if (!room.ok() || !*room) {
      return room;
    }
    uint64_t words[Slot::kWords];
    const uint32_t taken = cutter_->Next(words);
    ring_.Publish(SlotKind::kFragment, {words, taken});
    fragments_end_ = ring_.published();
    counters().copied_words.Add(taken);
  }
  cutter_.reset();
  Published(body.segments());
  return true;
}

Sender::Cause Sender::WhyFull() const {
  return cutter_ || fragments_end_ > consumed_ ? cause_ : Cause::kSlots;
}

void Sender::Abandon() {
  abandoned_ = abandoned_ || fds_sent_ || cutter_.has_value();
  fds_sent_ = false;
  cutter_.reset();
}

absl::StatusOr<bool> Sender::OfferEnd() {
  const absl::StatusOr<bool> room = HasRoom(1);
  if (room.ok() && *room) {
    ring_.Publish(SlotKind::kEnd, {});
    RingIfParked();
  }
  return room;
}

void Sender::Notify() {
  // seq_cst: a publish as in parked_flag.h, whose partner is the load in Receiver::HasNotice.
  link_->own.control().notices.value.store(++notices_, std::memory_order_seq_cst);
  RingIfParked();
}

absl::StatusOr<bool> Sender::HasRoom(uint32_t slots) {
  const uint64_t end = ring_.published() + slots;
  return end <= ring_.count() ? true : HasConsumed(end - ring_.count());
}

absl::StatusOr<bool> Sender::HasConsumed(uint64_t slots) {
  if (slots <= consumed_) {
    return true;
  }
  // seq_cst: the look of a writer that is about to sleep; its partner is Receiver's store. It also
  // acquires the reader's last loads from the slots that are now written again.
  const uint64_t consumed = link_->theirs.control().consumed.value.load(std::memory_order_seq_cst);
  if (consumed < consumed_ || consumed > ring_.published()) {
    return CorruptPeer(link_->peer, "consumed", consumed,
                       absl::StrCat("from ", consumed_, " to ", ring_.published()));
  }
  // The news is the receiving thread's, but who only waits for room has none, and drains the
  // socket.
  if (absl::Status bounded = link_->CheckNotFlooded(); !bounded.ok()) {
    return bounded;
  }
  consumed_ = consumed;
  wanted_consumed_ = slots;
  if (slots <= consumed_) {
    return true;
  }
  RingIfParked();  // fragments and a batch, for which the peer has not been rung yet
  return false;
}

bool Sender::RoomCame() {
  // seq_cst as in HasConsumed, which says what is wrong with a value that cannot be.
  const uint64_t consumed = link_->theirs.control().consumed.value.load(std::memory_order_seq_cst);
  const bool checks = consumed >= consumed_ && consumed <= ring_.published();
  return !checks || wanted_consumed_ <= consumed || link_->doorbell.flooded();
}

void Sender::Published(Segments segments) {
  uint64_t words = 0;
  for (const auto& segment : segments) {
    words += segment.size();
  }
  counters().messages.Add(1);
  counters().bytes.Add(words * sizeof(capnp::word));
  counters().segments.Add(segments.size());
  fds_sent_ = false;
  if (!quiet_) {
    RingIfParked();
  }
}

void Sender::RingIfParked() {
  if (link_->parked_peer.MustRing()) {
    link_->rang_peer.store(true, std::memory_order_relaxed);
    counters().rings.Add(1);
    link_->Ring();
  }
}

}  // namespace shoal
