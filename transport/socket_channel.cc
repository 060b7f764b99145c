#include "shoal/transport/socket_channel.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/transport/channel_errors.h"
#include "shoal/transport/has_event.h"
#include "shoal/transport/incoming_body.h"
#include "shoal/transport/message_limit.h"
#include "shoal/transport/system_error.h"

namespace shoal {
namespace {

constexpr auto kLongestSleep = std::chrono::hours(1);
constexpr size_t kPartsPerCall = 64;  // of memory that one system call gathers
constexpr uint32_t kNews = EPOLLIN | EPOLLRDHUP;

// The destructor reads at most so much of what nobody wants: more than a socket holds by default.
constexpr size_t kMostDiscarded = size_t{16} << 20;

void DiscardUnread(int socket) {
  char unwanted[4096];
  for (size_t discarded = 0; discarded < kMostDiscarded;) {
    const ssize_t got = recv(socket, unwanted, sizeof(unwanted), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EINTR)) {
      return;
    }
    discarded += got > 0 ? static_cast<size_t>(got) : 0;
  }
}

// Cap'n Proto's table of segment sizes: their number less one, then their words.
absl::InlinedVector<uint64_t, 4> TableOf(Segments segments) {
  if (segments.size() == 0) {
    return {0};  // nothing was built: one segment without words
  }
  absl::InlinedVector<uint64_t, 4> table(segments.size() / 2 + 1, 0);
  const auto set = [&](size_t index, uint64_t value) {
    table[index / 2] |= value << (32 * (index % 2));
  };
  set(0, segments.size() - 1);
  for (size_t i = 0; i < segments.size(); ++i) {
    set(i + 1, segments[i].size());
  }
  return table;
}

// Parts of memory, less what has been sent of them.
class Gathered {
 public:
  explicit Gathered(uint64_t skip) : skip_(skip) {}

  bool full() const { return count_ == kPartsPerCall; }

  msghdr message() {
    msghdr message{};
    message.msg_iov = parts_.data();
    message.msg_iovlen = count_;
    return message;
  }

  void Add(const void* data, uint64_t bytes) {
    const uint64_t skipped = std::min(skip_, bytes);
    skip_ -= skipped;
    if (bytes > skipped && !full()) {
      parts_[count_++] = {.iov_base = const_cast<char*>(static_cast<const char*>(data)) + skipped,
                          .iov_len = bytes - skipped};
    }
  }

 private:
  uint64_t skip_;
  std::array<iovec, kPartsPerCall> parts_;
  size_t count_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SocketChannel>> SocketChannel::Create(
    UniqueFd socket, const Peer& peer, const ChannelOptions& options) {
  UniqueFd events(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event = {.events = kNews, .data = {}};
  if (!events || epoll_ctl(events.get(), EPOLL_CTL_ADD, socket.get(), &event) != 0) {
    return SystemError(errno, "watching a channel's socket");
  }
  absl::StatusOr<ForkMark> fork_mark = ForkMark::Create();
  if (!fork_mark.ok()) {
    return fork_mark.status();
  }
  return std::unique_ptr<SocketChannel>(new SocketChannel(std::move(socket), std::move(events),
                                                          *std::move(fork_mark), peer, options));
}

SocketChannel::SocketChannel(UniqueFd socket, UniqueFd events, ForkMark fork_mark, const Peer& peer,
                             const ChannelOptions& options)
    : socket_(std::move(socket)),
      events_(std::move(events)),
      fork_mark_(std::move(fork_mark)),
      owner_(getpid()),
      peer_(peer),
      options_(options),
      // The peer likely has the same limit.
      limits_(ReceiveLimit(options, Trust::kNone), ChannelOptions::kMaxMessageWords, 0),
      reader_(ReaderFor(options, Trust::kNone)),
      joiner_(limits_.own),
      buffer_(kBufferWords),
      watched_(kNews) {}

SocketChannel::~SocketChannel() {
  if (next_ != nullptr) {
    next_->Release();
  }
  if (fork_mark_.forked()) {
    return;  // the channel lives on in the process that forked
  }
  End();
  // Nobody is left to report an error to; the peer sees the hang-up.
  FlushWithin(options_.linger).IgnoreError();
  DiscardUnread(socket_.get());
}

OutgoingMessage SocketChannel::Claim(uint32_t hint_words) {
  auto* body = new OutgoingBody(nullptr);
  body->Begin(hint_words);
  return OutgoingMessage(BodyRef(body));
}

absl::Status SocketChannel::MayNotPublish() const {
  if (fork_mark_.forked()) {
    return Forked();
  }
  return OffThread() ? shoal::OffThread(peer_) : TwoThreads("publish", peer_);
}

absl::Status SocketChannel::MayNotReceive() const {
  return fork_mark_.forked() ? Forked() : TwoThreads("receive", peer_);
}

absl::Status SocketChannel::CheckSendable(const OutgoingMessage& message) const {
  if (fork_mark_.forked()) {
    return Forked();
  }
  if (!send_error_.ok()) {
    return send_error_;
  }
  return CheckPublishable(message, peer_, ending_, limits_);
}

absl::Status SocketChannel::Publish(OutgoingMessage&& message, absl::Duration duration) {
  const OneAtATime::Turn turn(publishing_);
  if (!turn.alone() || OffThread()) {
    return MayNotPublish();
  }
  Timeout timeout(duration);
  return PublishWithin(timeout, message);
}

absl::Status SocketChannel::PublishBatch(std::span<OutgoingMessage> messages,
                                         absl::Duration duration) {
  const OneAtATime::Turn turn(publishing_);
  if (!turn.alone() || OffThread()) {
    return MayNotPublish();
  }
  Timeout timeout(duration);
  for (OutgoingMessage& message : messages) {
    if (absl::Status published = PublishWithin(timeout, message); !published.ok()) {
      return published;
    }
  }
  return absl::OkStatus();
}

absl::Status SocketChannel::Notify() {
  return absl::UnimplementedError(
      absl::StrCat("the stream to ", peer_.Describe(),
                   " has no place for a notice: send a message, or use a channel at shm:"));
}

absl::Status SocketChannel::PublishWithin(Timeout& timeout, OutgoingMessage& message) {
  if (absl::Status sendable = CheckSendable(message); !sendable.ok()) {
    return sendable;
  }
  Enqueue(message.body());
  while (true) {
    const absl::StatusOr<bool> flushed = TryFlush();
    if (!flushed.ok()) {
      return flushed.status();
    }
    if (*flushed) {
      break;
    }
    if (options_.when_full == WhenFull::kSpill) {
      if (pending_bytes_ > options_.max_pending_bytes) {
        return GiveUp(message, Full(timeout));
      }
      written_.spills.Add(1);
      break;
    }
    if (options_.when_full == WhenFull::kFail || timeout.deadline().passed()) {
      return GiveUp(message, Full(timeout));
    }
    Await(POLLOUT, timeout.deadline(), written_.waits);
  }
  if (!pending_.empty()) {
    message.body()->Freeze();
  }
  message.body()->SetPublished();
  message.Reset();
  return absl::OkStatus();
}

absl::Status SocketChannel::Full(const Timeout& timeout) const {
  switch (options_.when_full) {
    case WhenFull::kSpill:
      return TooMuchPending(pending_bytes_, peer_, options_);
    case WhenFull::kFail:
      return absl::ResourceExhaustedError(
          absl::StrCat("the socket to ", peer_.Describe(), " is full; its peer must read"));
    case WhenFull::kBlock:
      break;
  }
  return absl::DeadlineExceededError(
      absl::StrCat("the socket to ", peer_.Describe(), " was still full after ",
                   absl::FormatDuration(timeout.duration()), "; its peer does not read"));
}

void SocketChannel::Enqueue(const BodyRef& body) {
  Pending pending = {.body = body, .table = TableOf(body->segments()), .bytes = 0};
  pending.bytes = (pending.table.size() + body->SizeInWords()) * sizeof(uint64_t);
  pending_bytes_ += pending.bytes;
  pending_.push_back(std::move(pending));
}

absl::Status SocketChannel::GiveUp(OutgoingMessage& message, const absl::Status& reason) {
  if (pending_.back().sent > 0) {
    message.body()->Freeze();
    message.body()->SetPublished();
    message.Reset();
    return absl::OkStatus();
  }
  pending_bytes_ -= pending_.back().bytes;
  pending_.pop_back();
  return reason;
}

absl::StatusOr<bool> SocketChannel::TryFlush() {
  if (fork_mark_.forked()) {
    return Forked();
  }
  while (send_error_.ok() && !pending_.empty()) {
    const absl::StatusOr<uint64_t> sent = SendSome();
    if (!sent.ok() || *sent == 0) {
      return sent.ok() ? absl::StatusOr<bool>(false) : sent.status();
    }
    Sent(*sent);
  }
  if (!send_error_.ok()) {
    return send_error_;
  }
  if (ending_ && !end_sent_) {
    shutdown(socket_.get(), SHUT_WR);
    end_sent_ = true;
  }
  return true;
}

absl::StatusOr<uint64_t> SocketChannel::SendSome() {
  Gathered gathered(pending_.front().sent);
  for (const Pending& pending : pending_) {
    gathered.Add(pending.table.data(), pending.table.size() * sizeof(uint64_t));
    for (const auto& segment : pending.body->segments()) {
      gathered.Add(segment.begin(), segment.size() * sizeof(capnp::word));
    }
    if (gathered.full()) {
      break;
    }
  }
  const msghdr message = gathered.message();
  ssize_t sent;
  do {
    sent = sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) {
    return static_cast<uint64_t>(sent);
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    return 0;
  }
  return SendFailed(errno);
}

void SocketChannel::Sent(uint64_t bytes) {
  pending_bytes_ -= bytes;
  while (!pending_.empty()) {
    Pending& first = pending_.front();
    const uint64_t now = std::min(bytes, first.bytes - first.sent);
    first.sent += now;
    bytes -= now;
    if (first.sent < first.bytes) {
      return;
    }
    written_.messages.Add(1);
    written_.bytes.Add(first.body->SizeInWords() * sizeof(capnp::word));
    written_.segments.Add(first.body->segments().size());
    pending_.pop_front();
  }
}

absl::Status SocketChannel::SendFailed(int error) {
  const bool is_gone = error == EPIPE || error == ECONNRESET || error == ETIMEDOUT;
  was_reset_.store(is_gone && error != EPIPE, std::memory_order_relaxed);
  send_error_ =
      is_gone ? PeerGone(peer_) : SystemError(error, absl::StrCat("sending to ", peer_.Describe()));
  hung_up_.store(true, std::memory_order_relaxed);
  pending_.clear();
  pending_bytes_ = 0;
  return send_error_;
}

absl::Status SocketChannel::Flush(absl::Duration duration) {
  const OneAtATime::Turn turn(publishing_);
  return turn.alone() && !OffThread() ? FlushWithin(duration) : MayNotPublish();
}

absl::Status SocketChannel::FlushWithin(absl::Duration duration) {
  Timeout timeout(duration);
  while (true) {
    const absl::StatusOr<bool> flushed = TryFlush();
    if (!flushed.ok() || *flushed) {
      return flushed.status();
    }
    if (timeout.deadline().passed()) {
      return StillPending(pending_bytes_, peer_);
    }
    Await(POLLOUT, timeout.deadline(), written_.waits);
  }
}

void SocketChannel::End() {
  ending_ = true;
  TryFlush().IgnoreError();
}

void SocketChannel::HangUp() {
  if (!fork_mark_.forked()) {
    shutdown(socket_.get(), SHUT_RDWR);
    hung_up_.store(true, std::memory_order_relaxed);
  }
}

absl::StatusOr<std::optional<IncomingMessage>> SocketChannel::TryReceive() {
  const OneAtATime::Turn turn(receiving_);
  return turn.alone() ? TakeNext() : MayNotReceive();
}

absl::StatusOr<std::optional<IncomingMessage>> SocketChannel::TakeNext() {
  if (fork_mark_.forked()) {
    return Forked();
  }
  absl::StatusOr<IncomingBody*> body = next_ != nullptr ? std::exchange(next_, nullptr) : Take();
  if (!body.ok()) {
    return body.status();
  }
  if (*body == nullptr) {
    return std::nullopt;
  }
  read_.messages.Add(1);
  read_.bytes.Add((*body)->SizeInWords() * sizeof(capnp::word));
  read_.segments.Add((*body)->segments.size());
  return IncomingMessage(*body, reader_);
}

absl::StatusOr<IncomingMessage> SocketChannel::Receive(absl::Duration duration) {
  const OneAtATime::Turn turn(receiving_);
  if (!turn.alone()) {
    return MayNotReceive();
  }
  Timeout timeout(duration);
  while (true) {
    absl::StatusOr<std::optional<IncomingMessage>> message = TakeNext();
    if (!message.ok()) {
      return message.status();
    }
    if (*message) {
      return **std::move(message);
    }
    if (timeout.deadline().passed()) {
      return NothingCame(peer_, duration);
    }
    Await(POLLIN, timeout.deadline(), read_.waits);
  }
}

bool SocketChannel::Readable() {
  if (fork_mark_.forked() || next_ != nullptr || !receive_error_.ok()) {
    return true;
  }
  const absl::StatusOr<IncomingBody*> body = Take();
  next_ = body.ok() ? *body : nullptr;
  return !body.ok() || next_ != nullptr;
}

absl::StatusOr<IncomingBody*> SocketChannel::Take() {
  while (receive_error_.ok()) {
    const absl::StatusOr<IncomingBody*> body = TakeBuffered();
    if (!body.ok()) {
      receive_error_ = body.status();
      HangUp();
      break;
    }
    if (*body != nullptr) {
      return body;
    }
    const absl::StatusOr<bool> filled = Fill();
    if (!filled.ok()) {
      receive_error_ = filled.status();
      if (!ended_) {
        hung_up_.store(true, std::memory_order_relaxed);
      }
    } else if (!*filled) {
      return nullptr;
    }
  }
  return receive_error_;
}

absl::StatusOr<IncomingBody*> SocketChannel::TakeBuffered() {
  const size_t filled_words = filled_bytes_ / sizeof(uint64_t);
  while (begin_words_ < filled_words) {
    const size_t now = std::min<uint64_t>(joiner_.wanted(), filled_words - begin_words_);
    const std::span<const uint64_t> words(&buffer_[begin_words_], now);
    if (absl::Status added = joiner_.Add(words, peer_); !added.ok()) {
      return added;
    }
    begin_words_ += now;
    if (std::optional<JoinedMessage> message = joiner_.TakeFinished()) {
      auto* body = new IncomingBody(nullptr);
      body->joined = std::move(message->words);
      body->segments = std::move(message->segments);
      return body;
    }
  }
  return nullptr;
}

absl::StatusOr<bool> SocketChannel::Fill() {
  // Less than a word is left of what came before.
  const size_t rest = filled_bytes_ - begin_words_ * sizeof(uint64_t);
  buffer_[0] = buffer_[std::min(begin_words_, kBufferWords - 1)];
  begin_words_ = 0;
  filled_bytes_ = rest;
  auto* bytes = reinterpret_cast<std::byte*>(buffer_.data());
  ssize_t got;
  do {
    got = recv(socket_.get(), bytes + rest, kBufferWords * sizeof(uint64_t) - rest, MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    filled_bytes_ += static_cast<size_t>(got);
    return true;
  }
  if (got == 0) {
    return EndOfStream();
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    return false;
  }
  return errno == ECONNRESET || errno == ETIMEDOUT
             ? PeerGone(peer_)
             : SystemError(errno, absl::StrCat("receiving from ", peer_.Describe()));
}

absl::Status SocketChannel::EndOfStream() {
  ended_ = filled_bytes_ == 0 && !joiner_.joining() && !was_reset_.load(std::memory_order_relaxed);
  return ended_ ? PeerClosed(peer_) : PeerGone(peer_);
}

void SocketChannel::Await(short events, const Deadline& deadline, WaitCounters& counters) {
  pollfd socket = {.fd = socket_.get(), .events = events, .revents = 0};
  const timespec timeout = ToTimespec(deadline.Left(kLongestSleep));
  counters.parks.Add(1);
  if (ppoll(&socket, 1, &timeout, nullptr) <= 0 && !deadline.passed()) {
    counters.spurious_wakes.Add(1);
  }
}

uint32_t SocketChannel::NewsEvents() const { return receive_error_.ok() ? kNews : 0; }

void SocketChannel::Watch(uint32_t events) {
  if (events != watched_) {
    epoll_event event = {.events = events, .data = {}};
    epoll_ctl(events_.get(), EPOLL_CTL_MOD, socket_.get(), &event);
    watched_ = events;
  }
}

bool SocketChannel::ArmForRoom() {
  if (pending_.empty()) {
    return true;
  }
  Watch(NewsEvents() | EPOLLOUT);
  return !Flushable();
}

void SocketChannel::DisarmDoorbell() { Watch(NewsEvents()); }

void SocketChannel::DrainDoorbell() {
  epoll_event event;
  epoll_wait(events_.get(), &event, 1, 0);
}

bool SocketChannel::Flushable() {
  return !pending_.empty() && !fork_mark_.forked() && HasEvent(socket_.get(), POLLOUT);
}

}  // namespace shoal
