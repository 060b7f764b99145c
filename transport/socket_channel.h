// A channel over a stream socket, in Cap'n Proto's standard framing
// (https://capnproto.org/encoding.html#serialization-over-a-stream), so that the peer may be any
// program that speaks it, in any language, on any machine.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/channel_errors.h"
#include "shoal/transport/counters.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/fork_mark.h"
#include "shoal/transport/fragments.h"
#include "shoal/transport/one_at_a_time.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// See Channel for what each member does. Messages are built and held in this process's memory, and
// sent from where they were built.
//
// A message that has gone in part cannot be taken back: when the time for it is over, Publish()
// returns OK and the rest is pending, and goes before anything else at the next Publish(), Flush()
// or End(). When sending has failed, what is pending is dropped; what the peer had sent can still
// be received. The destructor reads what nobody received, because a socket that is closed with
// something unread resets the connection, and the peer could lose what it has not received yet.
//
// The stream has an end, and no word for who ended it: a peer that is killed between two messages
// looks like one that closed the channel.
//
// Who may connect is up to the socket file's mode and the network, as with any program
// that speaks this format.
class SocketChannel final : public Channel {
 public:
  // `socket` is connected and non-blocking; `options` are valid.
  static absl::StatusOr<std::unique_ptr<SocketChannel>> Create(UniqueFd socket, const Peer& peer,
                                                               const ChannelOptions& options);
  ~SocketChannel() override;

  void BindToThread() override { publisher_ = std::this_thread::get_id(); }
  OutgoingMessage Claim(uint32_t hint_words) override;
  absl::Status Publish(OutgoingMessage&& message, absl::Duration timeout) override;
  absl::Status PublishBatch(std::span<OutgoingMessage> messages, absl::Duration timeout) override;
  absl::Status Notify() override;
  absl::Status Flush(absl::Duration timeout) override;
  uint32_t max_fds() const override { return 0; }
  uint64_t pending_bytes() const override { return pending_bytes_; }
  size_t pending_messages() const override { return pending_.size(); }
  void End() override;
  void HangUp() override;
  bool hung_up() const override { return hung_up_.load(std::memory_order_relaxed); }

  absl::StatusOr<IncomingMessage> Receive(absl::Duration timeout) override;
  absl::StatusOr<std::optional<IncomingMessage>> TryReceive() override;
  bool Readable() override;
  bool TakeNotice() override { return false; }
  bool HasNotice() const override { return false; }
  bool ended_by_peer() const override { return ended_; }

  // An epoll: readable when the socket is, and, while armed for room, when it can be written.
  int doorbell() const override { return events_.get(); }
  std::pair<int, int> doorbells() const override { return {events_.get(), -1}; }
  int socket() const override { return socket_.get(); }
  bool short_of_descriptors() const override { return false; }
  bool ArmForMessage() override { return !Readable(); }
  bool ArmForRoom() override;
  void DisarmDoorbell() override;
  void DrainDoorbell() override;
  bool Flushable() override;
  SpinBudget::Peer PeerAtWait() override { return SpinBudget::Peer::kAwake; }

  absl::Duration Trim() override { return absl::InfiniteDuration(); }
  const Peer& peer() const override { return peer_; }
  const ChannelOptions& options() const override { return options_; }
  ChannelStats stats() const override { return StatsOf(written_, read_); }

 private:
  static constexpr size_t kBufferWords = 8192;

  // A message on its way, whole or the rest of it.
  struct Pending {
    BodyRef body;
    absl::InlinedVector<uint64_t, 4> table;
    uint64_t bytes;     // table and segments
    uint64_t sent = 0;  // of them
  };

  SocketChannel(UniqueFd socket, UniqueFd events, ForkMark fork_mark, const Peer& peer,
                const ChannelOptions& options);

  absl::Status Forked() const { return ChannelOfParent(peer_, owner_); }
  absl::Status CheckSendable(const OutgoingMessage& message) const;
  // Why this thread may not publish, or receive, now.
  bool OffThread() const {
    return publisher_ != std::thread::id() && publisher_ != std::this_thread::get_id();
  }
  absl::Status MayNotPublish() const;
  absl::Status MayNotReceive() const;
  absl::Status FlushWithin(absl::Duration duration);
  absl::StatusOr<std::optional<IncomingMessage>> TakeNext();
  absl::Status PublishWithin(Timeout& timeout, OutgoingMessage& message);
  void Enqueue(const BodyRef& body);
  absl::Status GiveUp(OutgoingMessage& message, const absl::Status& reason);
  absl::Status Full(const Timeout& timeout) const;
  absl::StatusOr<bool> TryFlush();
  absl::StatusOr<uint64_t> SendSome();
  void Sent(uint64_t bytes);
  absl::Status SendFailed(int error);

  absl::StatusOr<IncomingBody*> Take();
  absl::StatusOr<IncomingBody*> TakeBuffered();
  absl::StatusOr<bool> Fill();
  absl::Status EndOfStream();

  // What the doorbell rings for but room: nothing more once the receiver knows of the end.
  uint32_t NewsEvents() const;
  void Watch(uint32_t events);

  // Sleeps until the socket can be read or written, or `deadline`.
  void Await(short events, const Deadline& deadline, WaitCounters& counters);

  const UniqueFd socket_;
  const UniqueFd events_;
  const ForkMark fork_mark_;
  const pid_t owner_;
  const Peer peer_;
  const ChannelOptions options_;
  const PublishLimits limits_;
  const capnp::ReaderOptions reader_;  // of received messages

  std::thread::id publisher_;  // the one thread that publishes, if it was bound
  OneAtATime publishing_;
  OneAtATime receiving_;

  // The publishing thread's.
  WriterCounters written_{};
  absl::Status send_error_;
  std::deque<Pending> pending_;  // in order; the first may have gone in part
  uint64_t pending_bytes_ = 0;
  bool ending_ = false;
  bool end_sent_ = false;
  std::atomic<bool> was_reset_ = false;  // the kernel says so once, and the receiver would take it
                                         // for an end; relaxed: it orders nothing

  // Any thread's; relaxed: it orders nothing.
  std::atomic<bool> hung_up_ = false;

  // The receiving thread's.
  ReaderCounters read_{};
  absl::Status receive_error_;
  FragmentJoiner joiner_;
  std::vector<uint64_t> buffer_;
  size_t begin_words_ = 0;        // what of the buffer was taken
  size_t filled_bytes_ = 0;       // what of it came in
  IncomingBody* next_ = nullptr;  // taken for Readable(), to be received
  bool ended_ = false;

  // The thread's that uses the doorbell.
  uint32_t watched_;  // epoll's events
};

}  // namespace shoal
