#include "shoal/transport/shm_channel.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/transport/channel_errors.h"
#include "shoal/transport/message_limit.h"
#include "shoal/transport/trust.h"

namespace shoal {
namespace {

// A wait that spins for long looks at the socket this often, where the peer's death would show.
constexpr auto kSpinBetweenDrains = std::chrono::milliseconds(1);

}  // namespace

ShmChannel::ShmChannel(std::shared_ptr<Link> link, const ChannelOptions& options)
    : link_(std::move(link)),
      options_(options),
      life_(*link_),
      trust_(TrustIn(link_->peer, options)),
      limits_(options.max_message_words.value_or(ChannelOptions::kMaxMessageWords),
              link_->peers_max_words, link_->fd_limits.sent),
      reader_(ReaderFor(options, trust_)),
      sender_(link_),
      room_waiter_{.flag = ParkedFlag(&link_->own.control().starved.value),
                   .budget = SpinBudget(options.spin),
                   .counters = sender_.counters().waits},
      receiver_(link_, ReceiveLimit(options, trust_), trust_),
      message_waiter_{.flag = ParkedFlag(&link_->own.control().parked.value),
                      .budget = SpinBudget(options.spin),
                      .counters = receiver_.counters().waits} {}

ShmChannel::~ShmChannel() {
  if (link_->forked()) {
    return;  // the channel lives on in the process that forked
  }
  End();
  // Nobody is left to report an error to; the peer sees the hang-up.
  FlushWithin(options_.linger).IgnoreError();
  if (end_sent_) {
    // release: its partner is the load in Link::ClosedByPeer().
    link_->own.control().closed.value.store(1, std::memory_order_release);
  }
  link_->doorbell.HangUp();
}

OutgoingMessage ShmChannel::Claim(uint32_t hint_words) {
  if (link_->forked() || link_->OffThread()) {
    auto* body = new OutgoingBody(link_->forked() ? nullptr : link_);
    body->Begin(hint_words);
    return OutgoingMessage(BodyRef(body));
  }
  return OutgoingMessage(sender_.Claim(hint_words));
}

absl::Status ShmChannel::Forked() const {
  return ChannelOfParent(peer(), static_cast<pid_t>(link_->own.control().header.pid));
}

absl::Status ShmChannel::MayNotPublish() const {
  if (link_->forked()) {
    return Forked();
  }
  return link_->OffThread() ? OffThread(peer()) : TwoThreads("publish", peer());
}

absl::Status ShmChannel::MayNotReceive() const {
  return link_->forked() ? Forked() : TwoThreads("receive", peer());
}

absl::Status ShmChannel::CheckSendable(OutgoingMessage& message) {
  if (link_->forked()) {
    return Forked();
  }
  if (!send_error_.ok()) {
    return send_error_;
  }
  if (life_.HungUpAsPublished()) {
    return link_->PeerLeft();
  }
  if (message.has_value() && message.body()->link() != nullptr &&
      message.body()->link() != link_.get()) {
    return OfAnotherChannel(peer());
  }
  if (sender_.TakeChanged()) {
    return ChangedAfterPublish(peer());
  }
  return CheckPublishable(message, peer(), ending_, limits_);
}

absl::Status ShmChannel::Publish(OutgoingMessage&& message, absl::Duration duration) {
  const OneAtATime::Turn turn(publishing_);
  if (!turn.alone() || link_->OffThread()) {
    return MayNotPublish();
  }
  Timeout timeout(duration);
  return PublishWithin(timeout, message);
}

absl::Status ShmChannel::PublishBatch(std::span<OutgoingMessage> messages,
                                      absl::Duration duration) {
  const OneAtATime::Turn turn(publishing_);
  if (!turn.alone() || link_->OffThread()) {
    return MayNotPublish();
  }
  Timeout timeout(duration);
  const Sender::Quiet quiet(sender_);
  for (OutgoingMessage& message : messages) {
    if (absl::Status published = PublishWithin(timeout, message); !published.ok()) {
      return published;
    }
  }
  return absl::OkStatus();
}

absl::Status ShmChannel::Notify() {
  const OneAtATime::Turn turn(publishing_);
  if (!turn.alone() || link_->forked() || link_->OffThread()) {
    return MayNotPublish();
  }
  if (life_.HungUpAsPublished()) {
    return link_->PeerLeft();
  }
  sender_.Notify();
  return absl::OkStatus();
}

absl::Status ShmChannel::PublishWithin(Timeout& timeout, OutgoingMessage& message) {
  if (absl::Status sendable = CheckSendable(message); !sendable.ok()) {
    return sendable;
  }
  if (options_.when_full == WhenFull::kSpill) {
    return Spill(message);
  }
  if (absl::Status delivered = Deliver(*message.body(), timeout); !delivered.ok()) {
    sender_.Abandon();
    return delivered;
  }
  sender_.Finish(message.TakeBody());
  return absl::OkStatus();
}

absl::Status ShmChannel::Deliver(OutgoingBody& body, Timeout& timeout) {
  while (true) {
    const absl::StatusOr<bool> sent = sender_.Offer(body);
    if (!sent.ok()) {
      return OfferFailed(sent.status());
    }
    if (*sent) {
      return absl::OkStatus();
    }
    const bool give_up = options_.when_full == WhenFull::kFail || timeout.deadline().passed();
    if (give_up ? life_.HungUpNow() : link_->doorbell.hung_up()) {
      return link_->PeerLeft();
    }
    if (give_up) {
      return Full(timeout);
    }
    Await(room_waiter_, timeout.deadline(), [this] { return sender_.RoomCame(); });
  }
}

absl::Status ShmChannel::Full(const Timeout& timeout) const {
  std::string cause;
  std::string advice =
      absl::StrCat("; its peer must read, or raise ChannelOptions::slots above ", options_.slots);
  if (sender_.WhyFull() == Sender::Cause::kLoans) {
    const uint32_t loans = link_->theirs.shape().receipts;
    cause = absl::StrCat(" of messages in fragments, as its peer holds ", loans,
                         " blocks, all that its ChannelOptions::loans allows, those of messages ",
                         "that it has not received included");
    advice = absl::StrCat("; it must read and let go, or raise loans there above ", loans);
  } else if (sender_.WhyFull() == Sender::Cause::kSlabs) {
    cause = absl::StrCat(" of messages in fragments, as ", link_->slabs.bytes(),
                         " bytes of blocks are in use, of ", link_->slabs.max_bytes(),
                         " that the lower of ChannelOptions::max_slabs_bytes here and ",
                         "max_peer_slabs_bytes there allows");
    advice = "; its peer must read and let go, or raise both";
  }
  if (options_.when_full == WhenFull::kFail) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the ring to ", peer().Describe(), " is full", cause, advice));
  }
  return absl::DeadlineExceededError(
      absl::StrCat("the ring to ", peer().Describe(), " was still full", cause, " after ",
                   absl::FormatDuration(timeout.duration()), advice));
}

absl::Status ShmChannel::Spill(OutgoingMessage& message) {
  const absl::StatusOr<bool> flushed = TryFlush();
  if (!flushed.ok()) {
    return flushed.status();
  }
  // Before a part of it is on its way.
  if (absl::Status copied = message.body()->CopyFds(); !copied.ok()) {
    return copied;
  }
  message.body()->Freeze();
  if (*flushed) {
    const absl::StatusOr<bool> sent = sender_.Offer(*message.body());
    if (!sent.ok()) {
      message.body()->Thaw();
      return OfferFailed(sent.status());
    }
    if (*sent) {
      sender_.Finish(message.TakeBody());
      return absl::OkStatus();
    }
  }
  const uint64_t bytes = message.SizeInWords() * sizeof(capnp::word);
  if (pending_bytes_ + bytes > options_.max_pending_bytes) {
    // It may be the one that has just gone in part.
    if (pending_.empty()) {
      sender_.Abandon();
    }
    message.body()->Thaw();
    return life_.HungUpNow() ? link_->PeerLeft()
                             : TooMuchPending(pending_bytes_ + bytes, peer(), options_);
  }
  sender_.counters().spills.Add(1);
  pending_bytes_ += bytes;
  message.body()->SetPublished();
  pending_.push_back(message.body());
  message.Reset();
  return absl::OkStatus();
}

absl::StatusOr<bool> ShmChannel::TryFlush() {
  if (link_->forked()) {
    return Forked();
  }
  while (!pending_.empty()) {
    const absl::StatusOr<bool> sent = sender_.Offer(*pending_.front());
    if (!sent.ok()) {
      return SendFailed(sent.status());
    }
    if (!*sent) {
      return false;
    }
    pending_bytes_ -= pending_.front()->SizeInWords() * sizeof(capnp::word);
    sender_.Finish(std::move(pending_.front()));
    pending_.pop_front();
  }
  if (ending_ && !end_sent_) {
    const absl::StatusOr<bool> sent = sender_.OfferEnd();
    if (!sent.ok()) {
      return SendFailed(sent.status());
    }
    end_sent_ = *sent;
    return end_sent_;
  }
  return true;
}

absl::Status ShmChannel::Flush(absl::Duration duration) {
  const OneAtATime::Turn turn(publishing_);
  if (!turn.alone() || link_->OffThread()) {
    return MayNotPublish();
  }
  return FlushWithin(duration);
}

absl::Status ShmChannel::FlushWithin(absl::Duration duration) {
  Timeout timeout(duration);
  while (true) {
    if (!send_error_.ok()) {
      return send_error_;
    }
    const absl::StatusOr<bool> flushed = TryFlush();
    if (!flushed.ok() || *flushed) {
      return flushed.status();
    }
    const bool give_up = timeout.deadline().passed();
    if (give_up ? life_.HungUpNow() : link_->doorbell.hung_up()) {
      return link_->PeerLeft();
    }
    if (give_up) {
      return StillPending(pending_bytes_, peer());
    }
    Await(room_waiter_, timeout.deadline(), [this] { return sender_.RoomCame(); });
  }
}

void ShmChannel::End() {
  ending_ = true;
  TryFlush().IgnoreError();
}

void ShmChannel::HangUp() {
  if (!link_->forked()) {
    link_->doorbell.HangUp();
  }
}

absl::StatusOr<std::optional<IncomingMessage>> ShmChannel::TryReceive() {
  const OneAtATime::Turn turn(receiving_);
  return turn.alone() ? TakeNext() : MayNotReceive();
}

absl::StatusOr<std::optional<IncomingMessage>> ShmChannel::TakeNext() {
  if (link_->forked()) {
    return Forked();
  }
  if (!receive_error_.ok()) {
    return receive_error_;
  }
  // Before the look at the ring: what the peer published before it went is delivered first.
  const bool gone = link_->doorbell.hung_up();
  absl::StatusOr<IncomingBody*> body = receiver_.Take();
  if (!body.ok()) {
    return ReceiveFailed(body.status());
  }
  if (*body != nullptr) {
    return IncomingMessage(*body, reader_);
  }
  if (receiver_.ended()) {
    link_->doorbell.Drain();  // so that publishing knows whether the peer is still there to read
    return receive_error_ = PeerClosed(peer());
  }
  if (gone) {
    return receive_error_ = PeerGone(peer());
  }
  // Nothing wakes the caller's event loop from what is behind, or lets it sleep, so it must know.
  if (short_of_descriptors()) {
    if (absl::Status heard = receiver_.HearAll(); !heard.ok()) {
      return ReceiveFailed(heard);
    }
  }
  if (life_.HungUpAsNothingCame()) {
    return TakeNext();
  }
  return std::nullopt;
}

absl::StatusOr<IncomingMessage> ShmChannel::Receive(absl::Duration duration) {
  const OneAtATime::Turn turn(receiving_);
  return turn.alone() ? ReceiveWithin(duration) : MayNotReceive();
}

absl::StatusOr<IncomingMessage> ShmChannel::ReceiveWithin(absl::Duration duration) {
  Timeout timeout(duration);
  while (true) {
    absl::StatusOr<std::optional<IncomingMessage>> message = TakeNext();
    // What no message needs yet is heard of by waiting.
    const bool only_news = absl::IsResourceExhausted(message.status()) && receive_error_.ok() &&
                           receiver_.waiting() == Receiver::Waiting::kNews;
    if (!message.ok() && !only_news) {
      return message.status();
    }
    if (message.ok() && *message) {
      return **std::move(message);
    }
    // The look at the ring after the look at the notices: see Receiver::HasNotice. And no notice is
    // taken that has come since, behind another message.
    const uint64_t notices = receiver_.Notices();
    if (!Readable() && receiver_.TakeNotices(notices)) {
      return absl::CancelledError(
          absl::StrCat(peer().Describe(), " called Notify(), and sent no message"));
    }
    if (timeout.deadline().passed()) {
      link_->doorbell.Drain();
      if (link_->doorbell.hung_up()) {
        continue;
      }
      return NothingCame(peer(), duration);
    }
    Await(message_waiter_, timeout.deadline(),
          [this] { return receiver_.Ready() || HasNotice() || link_->doorbell.has_news(); });
  }
}

bool ShmChannel::Readable() {
  return link_->forked() || receiver_.Ready() || life_.HungUpAsLookedAt();
}

template <typename Ready>
void ShmChannel::Await(Waiter& waiter, const Deadline& deadline, Ready ready) {
  const auto begin = SpinBudget::Clock::now();
  const auto spin = waiter.budget.Begin(PeerAtWait());
  Doorbell& doorbell = link_->doorbell;
  SpinBudget::Clock::duration spun{0};
  while (spun < spin && !doorbell.hung_up() && !deadline.passed()) {
    const auto piece =
        deadline.Left(std::min<SpinBudget::Clock::duration>(spin - spun, kSpinBetweenDrains));
    if (const auto won = SpinUntil(piece, ready)) {
      waiter.budget.SpinWon(spun + *won);
      waiter.counters.spin_hits.Add(1);
      return;
    }
    if (spin > kSpinBetweenDrains) {
      doorbell.Drain();
    }
    spun = SpinBudget::Clock::now() - begin;
  }
  while (!ready() && !doorbell.hung_up() && !deadline.passed()) {
    Park(waiter, deadline, ready);
  }
  waiter.budget.Slept(SpinBudget::Clock::now() - begin);
}

template <typename Ready>
void ShmChannel::Park(Waiter& waiter, const Deadline& deadline, Ready ready) {
  const uint64_t rings = link_->doorbell.rings();
  const absl::Duration next_trim = sender_.Trim();
  waiter.flag.Raise();
  if (!ready()) {
    link_->doorbell.Sleep(rings, deadline.OrAfter(next_trim));
    waiter.counters.parks.Add(1);
    if (!ready() && !link_->doorbell.hung_up() && !deadline.passed()) {
      waiter.counters.spurious_wakes.Add(1);
    }
  }
  waiter.flag.Lower();
}

SpinBudget::Peer ShmChannel::PeerAtWait() {
  if (link_->forked()) {
    return SpinBudget::Peer::kAwake;
  }
  const uint64_t cpu = link_->TellCpu();
  // relaxed: hints, as in TellCpu().
  if (cpu != 0 && link_->theirs.control().cpu.value.load(std::memory_order_relaxed) == cpu) {
    return SpinBudget::Peer::kOnThisCpu;
  }
  return link_->rang_peer.load(std::memory_order_relaxed) ? SpinBudget::Peer::kRung
                                                          : SpinBudget::Peer::kAwake;
}

bool ShmChannel::ArmForMessage() {
  if (link_->forked()) {
    return false;
  }
  message_waiter_.flag.Raise();
  if (Readable()) {
    return false;
  }
  message_waiter_.counters.parks.Add(1);
  return true;
}

bool ShmChannel::ArmForRoom() {
  if (link_->forked()) {
    return false;
  }
  if (!HasPending()) {
    return true;
  }
  room_waiter_.flag.Raise();
  if (Flushable()) {
    return false;
  }
  room_waiter_.counters.parks.Add(1);
  return true;
}

void ShmChannel::DisarmDoorbell() {
  if (link_->forked()) {
    return;
  }
  message_waiter_.flag.Lower();
  room_waiter_.flag.Lower();
}

bool ShmChannel::Flushable() {
  return HasPending() && (sender_.RoomCame() || link_->doorbell.hung_up());
}

absl::Status ShmChannel::ReceiveFailed(const absl::Status& error) {
  return receiver_.waiting() == Receiver::Waiting::kNothing ? EndReceiving(error) : error;
}

absl::Status ShmChannel::EndReceiving(const absl::Status& error) {
  receive_error_ = error;
  link_->doorbell.HangUp();
  return error;
}

bool ShmChannel::hung_up() const {
  if (!link_->forked()) {
    link_->doorbell.LookNowAndThen();
  }
  return link_->doorbell.hung_up();
}

bool ShmChannel::ended_by_peer() const {
  // Before the end is received the peer's word counts, unless receiving has found another end.
  return receiver_.ended() || (receive_error_.ok() && link_->ClosedByPeer() &&
                               receiver_.waiting() == Receiver::Waiting::kNothing);
}

absl::Status ShmChannel::OfferFailed(const absl::Status& error) {
  // Descriptors that the system does not take or has no room for are the message's failure alone.
  return absl::IsDataLoss(error) ? SendFailed(error) : error;
}

absl::Status ShmChannel::SendFailed(const absl::Status& error) {
  send_error_ = error;
  link_->doorbell.HangUp();
  return error;
}

absl::Duration ShmChannel::Trim() {
  return link_->forked() ? absl::InfiniteDuration() : sender_.Trim();
}

void ShmChannel::DrainDoorbell() {
  if (link_->forked()) {
    return;
  }
  link_->doorbell.Drain();
  // An idle peer gives memory back without a message that would have it noticed.
  if (absl::Status heard = receiver_.HearNews(); !heard.ok() && receive_error_.ok()) {
    EndReceiving(heard).IgnoreError();
  }
}

ChannelStats ShmChannel::stats() const { return StatsOf(sender_.counters(), receiver_.counters()); }

}  // namespace shoal
