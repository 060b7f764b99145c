// A duplex, ordered, reliable stream of Cap'n Proto messages to one other process of this machine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shoal/transport/message.h"
#include "shoal/transport/options.h"
#include "shoal/transport/peer.h"
#include "shoal/transport/spin_budget.h"
#include "shoal/transport/stats.h"

namespace shoal {

// One thread may build and publish while another receives, and the threads may change as long as it
// is one of each at a time; messages may be dropped on any. Two that publish, or receive, at once
// hear kFailedPrecondition: always in a debug build, nearly always in another. All other errors
// name the peer. kUnavailable: the peer is gone or closed the channel, what it published before has
// been received. kDataLoss: the peer broke the protocol. After either the channel stays in that
// state. kResourceExhausted from receiving, while short_of_descriptors(): nothing is lost, and the
// channel goes on when there is room.
//
// A channel belongs to the process that made it. In a child which that forks, every call answers
// kFailedPrecondition, and destroying the channel leaves the parent's alone.
class Channel {
 public:
  // Ends the channel: what is pending is flushed for at most ChannelOptions::linger, and the peer,
  // once it has received all, is told that nothing follows.
  virtual ~Channel() = default;

  // ---- the publishing thread ----

  // Makes the calling thread the only one that publishes, for an event loop: on any other Publish()
  // and the like fail with kFailedPrecondition. In return a message may be begun, and built, on any
  // thread at any time, one thread a message; what other threads build lies on the heap until it is
  // published. To be called before another thread has the channel or a message of it.
  virtual void BindToThread() = 0;

  // Begins a message, with room for `hint_words` in its first segment; more comes as it is asked
  // for. Never blocks: a message for which the outbox has no room is built on the heap. Any number
  // may be begun, and published in any order or not at all.
  virtual OutgoingMessage Claim(uint32_t hint_words = 0) = 0;

  // Makes the message visible to the peer. When the ring is full, does what
  // ChannelOptions::when_full says: kDeadlineExceeded after `timeout` under kBlock,
  // kResourceExhausted at once under kFail, and under kSpill only above max_pending_bytes.
  // kInvalidArgument for a message that is empty, has no root, or is above a limit: max_fds(), this
  // side's max_message_words, or what the peer accepts, which the text names. kFailedPrecondition
  // for one that was published by another handle. After an error the message is as it was.
  virtual absl::Status Publish(OutgoingMessage&& message,
                               absl::Duration timeout = absl::InfiniteDuration()) = 0;

  // Publishes `messages` in their order, each as Publish() does, and wakes the peer once for all of
  // them. After an error those that were published are empty (see has_value()), the others as they
  // were.
  virtual absl::Status PublishBatch(std::span<OutgoingMessage> messages,
                                    absl::Duration timeout = absl::InfiniteDuration()) = 0;

  // How many descriptors a message may carry: ChannelOptions::max_fds_per_message of the peer. Zero
  // over a socket. See OutgoingMessage::SetFds().
  virtual uint32_t max_fds() const = 0;

  // Wakes the peer without a message: see TakeNotice(). Never blocks, and is never lost, but
  // several may be seen as one. kUnimplemented over a socket, whose stream has no place for it.
  virtual absl::Status Notify() = 0;

  // Delivers what is pending under WhenFull::kSpill: all of it before `timeout`, or
  // kDeadlineExceeded.
  virtual absl::Status Flush(absl::Duration timeout) = 0;

  // What waits in this process.
  virtual uint64_t pending_bytes() const = 0;
  virtual size_t pending_messages() const = 0;

  // Tells the peer that nothing follows, after all that is pending. Nothing can be published any
  // more; receiving goes on.
  virtual void End() = 0;

  // Drops the connection at once, as a process that dies does: what is pending is lost. Any thread.
  virtual void HangUp() = 0;

  // Whether the peer is gone or has destroyed its channel, or HangUp() was called. What the peer
  // published before can still be received. Known at once after a wait, and otherwise within 1,000
  // calls of this or any other member but Claim(), or 100 ms if they come every few milliseconds;
  // over a socket, once it was read or written, and a peer that is gone may look like one that
  // ended.
  virtual bool hung_up() const = 0;

  // ---- the receiving thread ----

  // The next message. kDeadlineExceeded when none came before `timeout`, kCancelled when the peer
  // called Notify() and all that it had published before has been received.
  virtual absl::StatusOr<IncomingMessage> Receive(
      absl::Duration timeout = absl::InfiniteDuration()) = 0;

  // The next message if there is one. Cheaper than Receive with no timeout.
  virtual absl::StatusOr<std::optional<IncomingMessage>> TryReceive() = 0;

  // Whether TryReceive() has something to say.
  virtual bool Readable() = 0;

  // Whether the peer has called Notify() since the last time that this, or Receive() with
  // kCancelled, said so.
  virtual bool TakeNotice() = 0;

  // The same, and leaves it untaken.
  virtual bool HasNotice() const = 0;

  // True when the peer ended the channel by its own will, false when it died or still lives: known
  // once its end was received, and once it is hung_up(). Over a socket, a death between two
  // messages looks like an end.
  virtual bool ended_by_peer() const = 0;

  // ---- event loops, on a thread that both publishes and receives ----

  // Readable when the peer rang or is gone. It never rings unless it was asked for.
  virtual int doorbell() const = 0;

  // What doorbell() is made of, for an event loop that watches both and so saves a descriptor a
  // channel. The second is for the peer's death, or -1.
  virtual std::pair<int, int> doorbells() const = 0;

  // The connection's, for getsockopt() and the like; only the channel reads or writes it.
  virtual int socket() const = 0;

  // True while the peer has sent a descriptor, its own or that of memory for a message, and this
  // process has no room for one (RLIMIT_NOFILE). Messages that need none are received as ever. Then
  // TryReceive() fails with kResourceExhausted, as Receive() does once the next message needs it.
  // The doorbell stays readable and rings no more, so an event loop does not wait for it, but
  // drains it and receives again after some milliseconds. Known once it was drained, or waited for.
  virtual bool short_of_descriptors() const = 0;

  // Asks to be rung for the next message. False when one is there already: then do not sleep.
  virtual bool ArmForMessage() = 0;

  // Asks to be rung for room for what is pending, the end included. False when there is room
  // already; true when nothing is pending.
  virtual bool ArmForRoom() = 0;

  // Both, as far as there is something to wait for; and a notice is waited for as well.
  bool ArmDoorbell() { return ArmForMessage() && !HasNotice() && ArmForRoom(); }

  // Takes that back, once awake.
  virtual void DisarmDoorbell() = 0;

  // Reads what the doorbell has, without waiting; edge-triggered loops need this before they sleep,
  // and again after a while if it leaves something: see short_of_descriptors().
  virtual void DrainDoorbell() = 0;

  // Whether Flush() would get on with what is pending, the end included, or fail.
  virtual bool Flushable() = 0;

  // What a wait that begins now knows of the peer: how long to spin follows from it. Tells the peer
  // as well on which CPU this thread is.
  virtual SpinBudget::Peer PeerAtWait() = 0;

  // ---- any thread ----

  // Gives slabs that have been idle for ChannelOptions::slab_idle_time back to the system, and
  // returns how long it will be until the next one can be, for an event loop's timer. All waits of
  // the channel do this by themselves.
  virtual absl::Duration Trim() = 0;

  virtual const Peer& peer() const = 0;
  virtual const ChannelOptions& options() const = 0;
  // Another process sees them with ObserveChannels().
  virtual ChannelStats stats() const = 0;
};

// Where clients come in. One thread at a time.
class Listener {
 public:
  virtual ~Listener() = default;

  // The next client's channel. A client that is not allowed, or does not greet properly, is told
  // why and left behind; it holds up nobody, and stats() counts it. kDeadlineExceeded when none
  // came before `timeout`.
  virtual absl::StatusOr<std::unique_ptr<Channel>> Accept(
      absl::Duration timeout = absl::InfiniteDuration()) = 0;

  // As the user wrote it; with the port that the system chose, if the user wrote 0.
  virtual const std::string& address() const = 0;

  // For event loops: readable when Accept() with no timeout may have a client.
  virtual int doorbell() const = 0;

  virtual ListenerStats stats() const = 0;
};

// A listener on any address of address.h. kAlreadyExists: a live server has the address.
// kInvalidArgument: the address or an option is not allowed.
absl::StatusOr<std::unique_ptr<Listener>> Listen(std::string_view address,
                                                 const ChannelOptions& options = {});

// A channel to the server at any address of address.h. A server that is not there
// yet is waited for until ChannelOptions::connect_timeout: kUnavailable if it did not come,
// kDeadlineExceeded if it came and did not answer. kPermissionDenied: the server's user id is not
// the one that the address says, or it does not want this one's. kInvalidArgument: another kind of
// program listens there. kFailedPrecondition: it speaks another version of the protocol.
absl::StatusOr<std::unique_ptr<Channel>> Connect(std::string_view address,
                                                 const ChannelOptions& options = {});

// Waits until one of `channels` has a message, a notice or an end for its receiver, and returns its
// index; looks at channels[first] first and goes round from there, so that `first` one behind the
// last result gives each its turn. kDeadlineExceeded when none has before `timeout`. The calling
// thread is the receiving thread of all of them, and no other thread publishes on them.
absl::StatusOr<size_t> WaitAny(std::span<Channel* const> channels,
                               absl::Duration timeout = absl::InfiniteDuration(), size_t first = 0);

// Two connected channels of this process, as socketpair() makes two sockets.
absl::StatusOr<std::pair<std::unique_ptr<Channel>, std::unique_ptr<Channel>>> ChannelPair(
    const ChannelOptions& options = {});
absl::StatusOr<std::pair<std::unique_ptr<Channel>, std::unique_ptr<Channel>>> ChannelPair(
    const ChannelOptions& first, const ChannelOptions& second);

}  // namespace shoal
