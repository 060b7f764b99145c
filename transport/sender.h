// The writing half of a channel: from a built message to slots that the peer can see.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "shoal/transport/fragments.h"
#include "shoal/transport/link.h"
#include "shoal/transport/news.h"
#include "shoal/transport/outgoing_body.h"
#include "shoal/transport/slot_ring.h"

namespace shoal {

// Never waits: an offer that finds no room says so. One thread at a time, but for Trim().
class Sender {
 public:
  explicit Sender(std::shared_ptr<Link> link);
  ~Sender();

  // Begins a message, with room for `hint_words` in its first segment.
  BodyRef Claim(uint32_t hint_words);

  // Publishes `body`, or returns false when the ring has no room for all of it. A message for which
  // no block is free goes in fragments, and one with descriptors goes after them, so it may then
  // have gone in part: the next call goes on with it, and must be for the same body, unless
  // Abandon() comes first. kDataLoss when what the peer wrote about room or receipts cannot be; any
  // other error is about the message's descriptors.
  absl::StatusOr<bool> Offer(OutgoingBody& body);

  // Takes back a message that was published, unless another handle of it is left.
  void Finish(BodyRef message);

  // Forgets a message that went in part; the peer is told to forget it too.
  void Abandon();

  // Tells the peer that nothing follows, or returns false when there is no room to say so.
  absl::StatusOr<bool> OfferEnd();

  // Wakes the peer if it sleeps, without a message.
  void Notify();

  // From construction to destruction, the peer is woken only when the ring has no room.
  class Quiet {
   public:
    explicit Quiet(Sender& sender) : sender_(sender) { sender_.quiet_ = true; }
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;
    ~Quiet() {
      sender_.quiet_ = false;
      sender_.RingIfParked();
    }

   private:
    Sender& sender_;
  };

  // Gives idle slabs back to the system, and returns when to look again. Any thread.
  absl::Duration Trim();

  // Whether the peer has made room since the last offer returned false.
  bool RoomCame();

  // What has filled the ring when an offer returned false: if fragments have, which take many times
  // as many slots as blocks do, then why they went.
  enum class Cause {
    kSlots,  // as many messages as fit
    kLoans,  // the peer has all the blocks that it may hold at a time
    kSlabs,  // no memory for blocks is left
  };
  Cause WhyFull() const;

  // True once after a message was changed that had been published. In debug builds alone.
  bool TakeChanged() {
#ifdef NDEBUG
    return false;
#else
    return std::exchange(changed_, false) || link_->loans.TakeChanged();
#endif
  }

  // What has been counted so far. Any thread may read it. Words copied on their way out are foreign
  // memory, heap and fragments; what goes in slots does not count.
  WriterCounters& counters() const { return link_->own.counters().written; }

 private:
  OutgoingBody* NewBody();

  // Takes the messages that were let go since, on any thread, and drops their blocks.
  void TakeBackBodies();
  void TakeBack(OutgoingBody* body);

  absl::StatusOr<bool> HasRoom(uint32_t slots);
  absl::StatusOr<bool> HasConsumed(uint64_t slots);
  absl::StatusOr<bool> OfferFds(std::span<const int> fds);
  absl::StatusOr<bool> OfferBlocks(OutgoingBody& body, Segments segments);
  absl::StatusOr<bool> OfferFragments(OutgoingBody& body, Cause cause);
  bool MoveToBlocks(OutgoingBody& body, Segments in_blocks, WritingLock& lock);
  HeldBlock* CopyToBlock(OutgoingBody& body, const kj::ArrayPtr<const capnp::word>& segment,
                         WritingLock& lock);
  void Published(Segments segments);
  void RingIfParked();

  const std::shared_ptr<Link> link_;
  SlotWriter ring_;
  std::vector<std::unique_ptr<OutgoingBody>> idle_bodies_;  // to be used again; they hold nothing
  uint64_t consumed_ = 0;                                   // as last loaded and checked
  uint64_t wanted_consumed_ = 0;                            // what the last offer waits for
  uint64_t notices_ = 0;
  bool quiet_ = false;
  std::optional<FragmentCutter> cutter_;  // the message that went in part
  Cause cause_ = Cause::kSlots;           // why the last message that went in fragments did
  uint64_t fragments_end_ = 0;            // the slots published up to its last fragment
  bool changed_ = false;                  // a message was, after its end
  bool fds_sent_ = false;                 // those of the message that went in part
  bool abandoned_ = false;                // the peer must be told to forget a part
  uint64_t fd_packets_ = 0;
  // The slots published with each of the last packets.
  std::array<uint64_t, kMaxFdPacketsOnTheWay> fd_packet_slots_ = {};
  uint64_t claims_ = 0;  // begun and not taken back
};

}  // namespace shoal
