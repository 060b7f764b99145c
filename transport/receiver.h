// The reading half of a channel: from the peer's slots to a message, and every check on the way.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "shoal/transport/fragments.h"
#include "shoal/transport/incoming_body.h"
#include "shoal/transport/link.h"
#include "shoal/transport/message_limit.h"
#include "shoal/transport/news.h"
#include "shoal/transport/options.h"
#include "shoal/transport/slot_ring.h"

namespace shoal {

// Never waits. One thread at a time. This is the one place where what the peer wrote into its ring
// is loaded, checked and used, in that order, each value once.
class Receiver {
 public:
  Receiver(std::shared_ptr<Link> link, MessageLimit limit, Trust trust = Trust::kPeer);
  ~Receiver();

  // The next message, or nullptr when none is there yet, or only parts of one: then Ready() may
  // still be true, and the next call goes on. kDataLoss names the field that is wrong. After an
  // error there is no use in going on, unless something is waiting(). The caller opens the body and
  // releases it.
  absl::StatusOr<IncomingBody*> Take();

  // What the last Take() or HearAll() has left because this process has no descriptor for it. Then
  // its error was kResourceExhausted with the limit, nothing is lost, and the next call goes on
  // where it was.
  enum class Waiting {
    kNothing,
    kMessage,  // the next one, Take()'s
    kNews,     // which no message needs yet, HearAll()'s
  };
  Waiting waiting() const { return waiting_; }

  // Takes in what the peer has sent over the connection's socket and was drained: slabs that come
  // and go, and descriptors of messages. Take() does this too.
  absl::Status HearNews();

  // The same, and drains the socket before.
  absl::Status HearAll();

  // Whether Take() would find something.
  bool Ready() const { return ring_.Ready() && !ended_; }

  // Whether the peer has called Notify() since TakeNotice(). What it published before is in the
  // ring by now. Any value that the peer may have stored will do.
  bool HasNotice() const { return Notices() != notices_; }
  bool TakeNotice() { return TakeNotices(Notices()); }

  // How often the peer has called Notify(), and taking just those: for a caller who looks at the
  // ring in between, and must leave a notice of later for later.
  //
  // seq_cst: a look as in parked_flag.h, whose partner is the store in Sender::Notify.
  uint64_t Notices() const {
    return link_->theirs.control().notices.value.load(std::memory_order_seq_cst);
  }
  bool TakeNotices(uint64_t seen) { return std::exchange(notices_, seen) != seen; }

  // The peer said that nothing follows.
  bool ended() const { return ended_; }

  // What has been counted so far. Any thread may read it. Of the words copied on their way in,
  // those that came in slots of a message that fits them do not count.
  ReaderCounters& counters() const { return link_->own.counters().read; }

 private:
  absl::StatusOr<IncomingBody*> TakeStruct(const SlotHeader& header);
  absl::StatusOr<IncomingBody*> TakeMessage(const SlotHeader& header);
  absl::StatusOr<IncomingBody*> TakeFragment(const SlotHeader& header);
  absl::Status Check(const SlotHeader& header) const;
  absl::Status CheckSize(uint64_t words) const;
  void AddInline(size_t words, IncomingBody& body);
  absl::Status AddBlock(const BlockDescriptor& block, uint64_t& total_words, IncomingBody& body);
  absl::Status CheckBlocksDiffer(const IncomingBody& body) const;
  absl::Status CopyBlocks(uint64_t words, IncomingBody& body);
  absl::Status LearnOfSlab(uint32_t number);
  absl::Status TakeFds(const SlotHeader& header);
  absl::Status KeepFds(MessageFds fds);
  template <typename Done>
  absl::Status HearNewsUntil(Done done);
  absl::Status ShortOfFds() const;
  IncomingBody* NewBody();
  void GiveUp(IncomingBody& body);
  void Received(IncomingBody& body);
  void Consume(uint32_t slots);

  const std::shared_ptr<Link> link_;
  const MessageLimit limit_;
  const Trust trust_;
  SlotReader ring_;
  FragmentJoiner joiner_;
  std::deque<MessageFds> fds_heard_;           // whose messages are still to come
  absl::InlinedVector<UniqueFd, 1> next_fds_;  // of the next message
  Waiting waiting_ = Waiting::kNothing;
  uint64_t borrowed_ = 0;  // blocks received, over the life of the channel
  uint64_t notices_ = 0;   // those that TakeNotice() has told of
  bool ended_ = false;
};

}  // namespace shoal
