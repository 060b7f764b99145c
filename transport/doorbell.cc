#include "shoal/transport/doorbell.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <chrono>
#include <iterator>
#include <utility>

#include "shoal/transport/packet.h"

namespace shoal {
namespace {

constexpr int kBatch = 8;  // packets that one system call takes
constexpr int kBatchesPerDrain = 8;
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

// What one recvmmsg() fills.
struct Doorbell::IncomingPackets {
  explicit IncomingPackets(size_t max_fds) {
    for (int i = 0; i < kBatch; ++i) {
      buffers[i] = {.iov_base = bytes[i], .iov_len = kMaxNewsBytes};
      headers[i].msg_hdr = {};
      headers[i].msg_hdr.msg_iov = &buffers[i];
      headers[i].msg_hdr.msg_iovlen = 1;
      headers[i].msg_hdr.msg_control = control[i];
      // The kernel puts the credentials first. What has no room behind them never becomes a
      // descriptor of this process.
      headers[i].msg_hdr.msg_controllen =
          CMSG_SPACE(sizeof(ucred)) + CMSG_LEN(max_fds * sizeof(int));
    }
  }

  std::byte bytes[kBatch][kMaxNewsBytes];
  alignas(cmsghdr) std::byte
      control[kBatch][CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(kMaxPacketFds * sizeof(int))];
  iovec buffers[kBatch];
  mmsghdr headers[kBatch];
};

void Doorbell::Ring() {
  const std::byte ring{1};
  ssize_t sent;
  do {
    sent = send(socket_.get(), &ring, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
}

absl::Status Doorbell::SendNews(std::span<const std::byte> bytes, std::span<const int> fds) {
  return SendPacket(socket_.get(), bytes, fds);
}

void Doorbell::Drain() {
  const std::lock_guard lock(mutex_);
  // A thread in ppoll() sleeps on if what woke it is gone when it looks.
  if (!polling_) {
    DrainAll();
  }
}

bool Doorbell::DrainNow() {
  std::unique_lock lock(mutex_);
  const uint64_t before = rings();
  while (polling_ && rings() == before && SocketReadable()) {
    drained_.wait(lock);
  }
  return rings() != before || (!polling_ && DrainSocket());
}

std::vector<Doorbell::Packet> Doorbell::TakeNews() {
  const std::lock_guard lock(mutex_);
  has_news_.store(flooded(), std::memory_order_relaxed);
  fds_waiting_ = 0;
  return std::exchange(news_, {});
}

bool Doorbell::SocketReadable() {
  pollfd socket = {.fd = socket_.get(), .events = POLLIN, .revents = 0};
  return poll(&socket, 1, 0) > 0;
}

bool Doorbell::DrainSocket() {
  bool drained = false;
  for (int i = 0; i < kBatchesPerDrain; ++i) {
    IncomingPackets packets(limits_.packet);
    const int got =
        recvmmsg(socket_.get(), packets.headers, kBatch, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, nullptr);
    // A peer that left without reading our rings resets the connection, once, ahead of its own
    // rings.
    if (got < 0 && (errno == EINTR || errno == ECONNRESET)) {
      continue;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return drained;
    }
    // The end of the connection reads as packets without bytes, behind the last ring.
    uint64_t count = 0;
    for (int j = 0; j < got && packets.headers[j].msg_len > 0; ++j, ++count) {
      KeepNews(packets, j);
    }
    drained = drained || count > 0;
    // release: its partner is rings(), so who sees the count sees that there is news.
    rings_.fetch_add(count, std::memory_order_release);
    if (got < 0 || count < static_cast<uint64_t>(got)) {
      PeerLeft();
      return drained;
    }
    if (got < kBatch) {
      return drained;  // it was empty: no further call is needed to find out
    }
  }
  return drained;
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

void Doorbell::KeepNews(IncomingPackets& packets, int index) {
  mmsghdr& packet = packets.headers[index];
  PacketControl control = TakeControl(packet.msg_hdr);  // owned, so that each way out closes them
  if (packet.msg_len == 1 || news_.size() >= kMaxNewsWaiting || flooded()) {
    return;
  }
  has_news_.store(true, std::memory_order_relaxed);
  if (fds_waiting_ + control.fds.size() > limits_.waiting) {
    flooded_.store(true, std::memory_order_relaxed);
    news_.clear();
    return;
  }
  fds_waiting_ += control.fds.size();
  const std::byte* bytes = packets.bytes[index];
  Packet& news = news_.emplace_back();
  news.bytes.assign(bytes, bytes + packet.msg_len);
  news.fds_lost = (packet.msg_hdr.msg_flags & MSG_CTRUNC) != 0;
  for (UniqueFd& fd : control.fds) {
    news.fds.push_back(std::move(fd));
  }
}

void Doorbell::Sleep(uint64_t seen, const Deadline& deadline) {
  std::unique_lock lock(mutex_);
  if (rings() != seen || hung_up()) {
    return;
  }
  if (polling_) {
    drained_.wait_for(lock, deadline.Left(kLongestSleep));
    return;
  }
  polling_ = true;
  lock.unlock();
  Poll(deadline);
  lock.lock();
  DrainAll();
  polling_ = false;
  drained_.notify_all();
}

void Doorbell::Poll(const Deadline& deadline) {
  const timespec timeout = ToTimespec(deadline.Left(kLongestSleep));
  pollfd events[] = {{.fd = socket(), .events = POLLIN, .revents = 0},
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
  return events_ ? events_.get() : socket();
}

void Doorbell::HangUp() {
  shutdown(socket_.get(), SHUT_RDWR);
  PeerLeft();
}

}  // namespace shoal
