#include "shoal/transport/doorbell.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <chrono>
#include <iterator>
#include <utility>

#include "shoal/transport/has_event.h"
#include "shoal/transport/look_pace.h"
#include "shoal/transport/packet.h"

namespace shoal {
namespace {

constexpr uint64_t kPacketsPerDrain = 64;

// So often in a row a descriptor is lacking although there is room for one, until the system is
// said to refuse it: another thread may have closed one in between.
constexpr int kRefusals = 8;
constexpr auto kLongestSleep = std::chrono::hours(1);

// Readable when one of them is; nothing when the system cannot.
UniqueFd WatchBoth(int one, int other) {
  UniqueFd events(epoll_create1(EPOLL_CLOEXEC));
  for (const int fd : {one, other}) {
    epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    if (events && epoll_ctl(events.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      events = UniqueFd();
    }
  }
  return events;
}

}  // namespace

// What one recvmsg() fills.
struct Doorbell::IncomingPacket {
  IncomingPacket() {
    header.msg_iov = &buffer;
    header.msg_iovlen = 1;
  }

  void MakeRoomFor(size_t max_fds) {
    most_fds = max_fds;
    header.msg_control = control;
    // The kernel puts the credentials first. What has no room behind them never becomes a
    // descriptor of this process.
    header.msg_controllen = CMSG_SPACE(sizeof(ucred)) + CMSG_LEN(max_fds * sizeof(int));
  }

  // Whether descriptors had room here and did not become this process's.
  bool Lacks(const PacketControl& taken) const {
    return (header.msg_flags & MSG_CTRUNC) != 0 && taken.fds.size() < most_fds;
  }

  std::byte bytes[kMaxNewsBytes];
  alignas(cmsghdr)
      std::byte control[CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(kMaxPacketFds * sizeof(int))];
  iovec buffer = {.iov_base = bytes, .iov_len = kMaxNewsBytes};
  size_t length = 0;
  size_t most_fds = 0;
  msghdr header = {};
  bool refused = false;
};

void Doorbell::Ring() {
  const std::byte ring{1};
  ssize_t sent;
  do {
    sent = send(socket_.get(), &ring, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) {
    PeerLeft();
  }
}

absl::Status Doorbell::SendNews(std::span<const std::byte> bytes, std::span<const int> fds) {
  return SendPacket(socket_.get(), bytes, fds);
}

void Doorbell::Drain() {
  const std::lock_guard lock(mutex_);
  // A thread in ppoll() sleeps on if what woke it is gone when it looks.
  if (polling_ != Polling::kSleeper) {
    DrainAll();
  }
}

Doorbell::Drained Doorbell::DrainNow() {
  std::unique_lock lock(mutex_);
  const uint64_t before = rings();
  while (polling_ == Polling::kSleeper && rings() == before && HasEvent(socket())) {
    drained_.wait(lock);
  }
  if (rings() != before) {
    return Drained::kSome;
  }
  return polling_ == Polling::kSleeper ? Drained::kNothing : DrainSocket();
}

void Doorbell::Look() {
  if (hung_up()) {
    return;
  }
  pollfd events[] = {{.fd = socket(), .events = POLLRDHUP, .revents = 0},
                     {.fd = watch_.fd(), .events = POLLIN, .revents = 0}};  // if there is one
  if (poll(events, std::size(events), 0) > 0) {
    PeerLeft();
  }
}

void Doorbell::LookNowAndThen() {
  const int64_t now = CoarseMilliseconds();
  // relaxed: two threads may look at once, which is harmless.
  if (now - looked_ms_.load(std::memory_order_relaxed) >= kLookInterval.count()) {
    looked_ms_.store(now, std::memory_order_relaxed);
    Look();
  }
}

std::vector<Doorbell::Packet> Doorbell::TakeNews() {
  const std::lock_guard lock(mutex_);
  has_news_.store(flooded(), std::memory_order_relaxed);
  fds_waiting_ = 0;
  return std::exchange(news_, {});
}

Doorbell::Drained Doorbell::DrainSocket() {
  uint64_t count = 0;
  Next next = Next::kTaken;
  while (count < kPacketsPerDrain && (next = TakePacket()) == Next::kTaken) {
    ++count;
  }
  // release: its partner is rings(), so who sees the count sees that there is news.
  rings_.fetch_add(count, std::memory_order_release);
  const bool short_of_fds = next == Next::kShortOfFds;
  short_of_fds_.store(short_of_fds, std::memory_order_relaxed);
  // The end may be behind what is left, of which an edge-triggered event loop hears no more.
  const bool left_some = short_of_fds || count == kPacketsPerDrain;
  if (next == Next::kEnd || (left_some && HasEvent(socket(), POLLRDHUP))) {
    PeerLeft();
  }
  if (count > 0) {
    return Drained::kSome;
  }
  return short_of_fds ? Drained::kShortOfFds : Drained::kNothing;
}

void Doorbell::DrainAll() {
  DrainSocket();
  // Each time, as an event loop may hear of it only once.
  if (watch_.ended()) {
    PeerLeft();
  }
}

// release: its partner is hung_up().
void Doorbell::PeerLeft() { hung_up_.store(true, std::memory_order_release); }

Doorbell::Next Doorbell::TakePacket() {
  Next next = Next::kRefused;
  for (int i = 1; next == Next::kRefused; ++i) {
    next = TryTakePacket(i == kRefusals);
  }
  return next;
}

Doorbell::Next Doorbell::TryTakePacket(bool refused) {
  IncomingPacket packet;
  // Only looked at, and without room for descriptors, before it is known what it is.
  const ssize_t got = ReceiveMessage(socket(), packet.header, MSG_PEEK);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    return Next::kNone;
  }
  // The end of the connection reads as packets without bytes, behind the last ring.
  if (got <= 0) {
    return Next::kEnd;
  }
  packet.length = static_cast<size_t>(got);
  if (!ThrowsAway(packet.length)) {
    if (const Next next = TakeNewsPacket(packet, refused); next != Next::kTaken) {
      return next;
    }
  }
  msghdr nothing = {};
  ReceiveMessage(socket(), nothing);
  return Next::kTaken;
}

Doorbell::Next Doorbell::TakeNewsPacket(IncomingPacket& packet, bool refused) {
  packet.MakeRoomFor(limits_.of_news({packet.bytes, packet.length}, limits_.packet));
  // Still only looked at, because the kernel drops descriptors for which this process has no room.
  if (ReceiveMessage(socket(), packet.header, MSG_PEEK) <= 0) {
    return Next::kEnd;
  }
  PacketControl control = TakeControl(packet.header);  // owned, so that each way out closes them
  if (packet.Lacks(control)) {
    if (!CanHaveAnotherFd(socket())) {
      return Next::kShortOfFds;
    }
    if (!refused) {
      return Next::kRefused;
    }
    packet.refused = true;
  }
  KeepNews(packet, std::move(control));
  return Next::kTaken;
}

bool Doorbell::ThrowsAway(size_t bytes) const {
  return bytes == 1 || news_.size() >= kMaxNewsWaiting || flooded();
}

void Doorbell::KeepNews(IncomingPacket& packet, PacketControl control) {
  has_news_.store(true, std::memory_order_relaxed);
  if (fds_waiting_ + control.fds.size() > limits_.waiting) {
    flooded_.store(true, std::memory_order_relaxed);
    news_.clear();
    return;
  }
  fds_waiting_ += control.fds.size();
  Packet& news = news_.emplace_back();
  news.bytes.assign(packet.bytes, packet.bytes + packet.length);
  news.too_many_fds = (packet.header.msg_flags & MSG_CTRUNC) != 0;
  news.fd_refused = packet.refused;
  for (UniqueFd& fd : control.fds) {
    news.fds.push_back(std::move(fd));
  }
}

void Doorbell::Sleep(uint64_t seen, const Deadline& deadline) {
  std::unique_lock lock(mutex_);
  if (rings() != seen || hung_up()) {
    return;
  }
  if (polling_ != Polling::kNobody) {
    drained_.wait_for(lock, deadline.Left(kLongestSleep));
    return;
  }
  polling_ = short_of_fds() ? Polling::kNapper : Polling::kSleeper;
  lock.unlock();
  Poll(deadline);
  lock.lock();
  DrainAll();
  polling_ = Polling::kNobody;
  drained_.notify_all();
}

void Doorbell::Poll(const Deadline& deadline) {
  // Without the lock, as nobody else changes it now. A nap is not for what is there all the time.
  const bool nap = polling_ == Polling::kNapper;
  const short socket_events = nap ? POLLRDHUP : POLLIN;
  const timespec timeout = ToTimespec(deadline.Left(nap ? kNap : kLongestSleep));
  pollfd events[] = {{.fd = socket(), .events = socket_events, .revents = 0},
                     {.fd = watch_.fd(), .events = POLLIN, .revents = 0}};  // if there is one
  ppoll(events, std::size(events), &timeout, nullptr);
}

int Doorbell::fd() {
  if (watch_.fd() < 0) {
    return socket();
  }
  const std::lock_guard lock(mutex_);
  if (!events_) {
    events_ = WatchBoth(socket(), watch_.fd());
  }
  return *events_ ? events_->get() : socket();
}

void Doorbell::HangUp() {
  shutdown(socket_.get(), SHUT_RDWR);
  PeerLeft();
}

}  // namespace shoal
