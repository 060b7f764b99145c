// A channel over shared memory: two outboxes that face each other, and the socket between them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <thread>

#include "absl/status/statusor.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/channel_errors.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/link.h"
#include "shoal/transport/one_at_a_time.h"
#include "shoal/transport/parked_flag.h"
#include "shoal/transport/peer_life.h"
#include "shoal/transport/receiver.h"
#include "shoal/transport/sender.h"
#include "shoal/transport/spin_budget.h"

namespace shoal {

// See Channel for what each member does.
class ShmChannel final : public Channel {
 public:
  // `link` comes from a handshake and is this channel's to end; `options` are valid.
  ShmChannel(std::shared_ptr<Link> link, const ChannelOptions& options);
  ~ShmChannel() override;

  void BindToThread() override { link_->publisher = std::this_thread::get_id(); }
  OutgoingMessage Claim(uint32_t hint_words) override;
  absl::Status Publish(OutgoingMessage&& message, absl::Duration timeout) override;
  absl::Status PublishBatch(std::span<OutgoingMessage> messages, absl::Duration timeout) override;
  absl::Status Notify() override;
  absl::Status Flush(absl::Duration timeout) override;
  uint32_t max_fds() const override { return limits_.max_fds; }
  uint64_t pending_bytes() const override { return pending_bytes_; }
  size_t pending_messages() const override { return pending_.size(); }
  void End() override;
  void HangUp() override;
  bool hung_up() const override;

  absl::StatusOr<IncomingMessage> Receive(absl::Duration timeout) override;
  absl::StatusOr<std::optional<IncomingMessage>> TryReceive() override;
  bool Readable() override;
  bool TakeNotice() override { return receiver_.TakeNotice(); }
  bool HasNotice() const override { return receiver_.HasNotice(); }
  bool ended_by_peer() const override;

  int doorbell() const override { return link_->doorbell.fd(); }
  std::pair<int, int> doorbells() const override { return link_->doorbell.fds(); }
  int socket() const override { return link_->doorbell.socket(); }
  bool short_of_descriptors() const override { return link_->doorbell.short_of_fds(); }
  bool ArmForMessage() override;
  bool ArmForRoom() override;
  void DisarmDoorbell() override;
  void DrainDoorbell() override;
  bool Flushable() override;

  SpinBudget::Peer PeerAtWait() override;

  absl::Duration Trim() override;

  const Peer& peer() const override { return link_->peer; }
  const ChannelOptions& options() const override { return options_; }
  ChannelStats stats() const override;

 private:
  absl::Status CheckSendable(OutgoingMessage& message);
  absl::Status Spill(OutgoingMessage& message);
  absl::Status PublishWithin(Timeout& timeout, OutgoingMessage& message);
  absl::Status Deliver(OutgoingBody& body, Timeout& timeout);
  absl::Status Full(const Timeout& timeout) const;
  bool HasPending() const { return !pending_.empty() || (ending_ && !end_sent_); }
  absl::Status OfferFailed(const absl::Status& error);
  absl::StatusOr<bool> TryFlush();
  // Of Receiver's Take() or HearAll(). Unless it passes, nothing is received any more.
  absl::Status ReceiveFailed(const absl::Status& error);
  absl::Status EndReceiving(const absl::Status& error);
  absl::Status SendFailed(const absl::Status& error);

  // What one of the two threads waits with.
  struct Waiter {
    ParkedFlag flag;
    SpinBudget budget;
    WaitCounters& counters;
  };

  // Spins, then sleeps, until `ready()`, the peer is gone, or `deadline`.
  template <typename Ready>
  void Await(Waiter& waiter, const Deadline& deadline, Ready ready);
  // Sleeps once.
  template <typename Ready>
  void Park(Waiter& waiter, const Deadline& deadline, Ready ready);

  absl::Status Forked() const;
  // Why this thread may not publish, or receive, now.
  absl::Status MayNotPublish() const;
  absl::Status MayNotReceive() const;
  absl::Status FlushWithin(absl::Duration duration);
  absl::StatusOr<std::optional<IncomingMessage>> TakeNext();
  absl::StatusOr<IncomingMessage> ReceiveWithin(absl::Duration duration);

  const std::shared_ptr<Link> link_;
  const ChannelOptions options_;
  PeerLife life_;  // each thread's part is its own
  const Trust trust_;
  const PublishLimits limits_;
  const capnp::ReaderOptions reader_;  // of received messages

  OneAtATime publishing_;
  OneAtATime receiving_;

  // The publishing thread's.
  Sender sender_;
  Waiter room_waiter_;
  absl::Status send_error_;
  std::deque<BodyRef> pending_;  // spilled, in order; the first may have gone in part
  uint64_t pending_bytes_ = 0;
  bool ending_ = false;    // nothing may be published any more
  bool end_sent_ = false;  // and the peer was told

  // The receiving thread's.
  Receiver receiver_;
  Waiter message_waiter_;
  absl::Status receive_error_;
};

}  // namespace shoal
