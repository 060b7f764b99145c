#include "shoal/transport/doorbell.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace shoal {
namespace {

constexpr int kBatch = 8;  // packets that one system call takes
constexpr int kBatchesPerDrain = 8;
constexpr auto kLongestSleep = std::chrono::hours(1);

}  // namespace

void Doorbell::Ring() {
  const std::byte ring{1};
  ssize_t sent;
  do {
    sent = send(socket_.get(), &ring, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
}

void Doorbell::Drain() {
  const std::lock_guard lock(mutex_);
  // A thread in ppoll() sleeps on if what woke it is gone when it looks.
  if (!polling_) {
    DrainSocket();
  }
}

void Doorbell::DrainSocket() {
  for (int i = 0; i < kBatchesPerDrain; ++i) {
    std::byte bytes[kBatch];
    iovec buffers[kBatch];
    mmsghdr packets[kBatch] = {};
    for (int j = 0; j < kBatch; ++j) {
      buffers[j] = {.iov_base = &bytes[j], .iov_len = 1};
      packets[j].msg_hdr.msg_iov = &buffers[j];
      packets[j].msg_hdr.msg_iovlen = 1;
    }
    const int got = recvmmsg(socket_.get(), packets, kBatch, MSG_DONTWAIT, nullptr);
    // A peer that left without reading our rings resets the connection, once, ahead of its own
    // rings.
    if (got < 0 && (errno == EINTR || errno == ECONNRESET)) {
      continue;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return;
    }
    // The end of the connection reads as packets without bytes, behind the last ring.
    const auto rings = std::count_if(packets, packets + std::max(got, 0),
                                     [](const mmsghdr& packet) { return packet.msg_len > 0; });
    rings_.fetch_add(rings, std::memory_order_release);
    if (rings < got || got < 0) {
      // release: its partner is hung_up().
      hung_up_.store(true, std::memory_order_release);
      return;
    }
    if (got < kBatch) {
      return;  // it was empty: no further call is needed to find out
    }
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
  DrainSocket();
  lock.lock();
  polling_ = false;
  drained_.notify_all();
}

void Doorbell::Poll(const Deadline& deadline) {
  const timespec timeout = ToTimespec(deadline.Left(kLongestSleep));
  pollfd socket = {.fd = socket_.get(), .events = POLLIN, .revents = 0};
  ppoll(&socket, 1, &timeout, nullptr);
}

void Doorbell::HangUp() {
  shutdown(socket_.get(), SHUT_RDWR);
  hung_up_.store(true, std::memory_order_release);
}

}  // namespace shoal
