#include "shoal/rpc/channel_stream.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "capnp/any.h"
#include "kj/debug.h"
#include "shoal/rpc/exception.h"

namespace shoal {
namespace {

constexpr size_t BYTES_IN_A_SLOT = 30 * sizeof(capnp::word);
// A slot's words less the message's root pointer.

constexpr size_t MOST_BYTES_IN_A_MESSAGE = 64 << 10;
// So large that a message costs little against its copying, and so small that the reader is at work
// on one while the next is being written. A ring full of them is what waits for a reader at most.

}  // namespace

class ChannelStream::Gather {
  // What is left to be written.

public:
  Gather(kj::ArrayPtr<const kj::byte> first,
         kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> rest = nullptr)
      : first(first), rest(rest), left(first.size()) {
    for (auto& piece: rest) {
      left += piece.size();
    }
  }

  size_t size() const { return left; }

  void take(kj::ArrayPtr<kj::byte> target) {
    left -= target.size();
    while (target.size() > 0) {
      if (first.size() == 0) {
        first = rest[0];
        rest = rest.slice(1, rest.size());
        continue;
      }
      const size_t now = kj::min(first.size(), target.size());
      memcpy(target.begin(), first.begin(), now);
      first = first.slice(now, first.size());
      target = target.slice(now, target.size());
    }
  }

private:
  kj::ArrayPtr<const kj::byte> first;
  kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> rest;
  size_t left;
};

class ChannelStream::Reading {
  // A read that waits for more. It is gone when its promise is dropped, for then nothing may be
  // written to the buffers any more.

public:
  Reading(kj::PromiseFulfiller<ReadResult>& fulfiller, ChannelStream& stream, Buffers buffers)
      : fulfiller(fulfiller), stream(stream), buffers(buffers) {
    stream.reader = *this;
    stream.wait();
  }
  ~Reading() noexcept(false) { done(); }
  KJ_DISALLOW_COPY(Reading);

  void goOn() {
    if (!fulfiller.rejectIfThrows([this]() {
          if (stream.fill(buffers)) {
            fulfiller.fulfill(kj::cp(buffers.result));
          }
        })) {
      done();
      return;
    }
    if (!fulfiller.isWaiting()) {
      done();
    }
  }

private:
  void done() {
    KJ_IF_MAYBE (reader, stream.reader) {
      if (reader == this) {
        stream.reader = nullptr;
      }
    }
  }

  kj::PromiseFulfiller<ReadResult>& fulfiller;
  ChannelStream& stream;
  Buffers buffers;
};

ChannelStream::ChannelStream(Poller& poller, kj::LowLevelAsyncIoProvider& lowLevel,
                             kj::Own<Channel> channelParam)
    : Source(poller, kj::mv(channelParam)), lowLevel(lowLevel) {
  KJ_REQUIRE(channel->options().when_full == WhenFull::kSpill,
             "a channel for a stream needs ChannelOptions::when_full = WhenFull::kSpill, as an "
             "event loop must not block",
             channel->peer().address.c_str());
}

ChannelStream::~ChannelStream() noexcept(false) {}

// Reading -------------------------------------------------------------------

kj::Promise<size_t> ChannelStream::tryRead(void* buffer, size_t minBytes, size_t maxBytes) {
  return tryReadWithFds(buffer, minBytes, maxBytes, nullptr, 0).then([](ReadResult result) {
    return result.byteCount;
  });
}

kj::Promise<kj::AsyncCapabilityStream::ReadResult> ChannelStream::tryReadWithFds(
    void* buffer, size_t minBytes, size_t maxBytes, kj::AutoCloseFd* fdBuffer, size_t maxFds) {
  KJ_REQUIRE(reader == nullptr, "a read is waiting already");
  Buffers buffers = {.bytes = kj::arrayPtr(static_cast<kj::byte*>(buffer), maxBytes),
                     .minBytes = minBytes,
                     .fds = kj::arrayPtr(fdBuffer, maxFds),
                     .result = {0, 0}};
  return kj::evalNow([&]() -> kj::Promise<ReadResult> {
    // What has come out of the ring already needs no look at it, so nobody would wake the reader.
    if ((incoming != nullptr || !poller.mustYield()) && fill(buffers)) {
      return buffers.result;
    }
    return kj::newAdaptedPromise<ReadResult, Reading>(*this, buffers);
  });
}

kj::Promise<kj::AsyncCapabilityStream::ReadResult> ChannelStream::tryReadWithStreams(
    void* buffer, size_t minBytes, size_t maxBytes,
    kj::Own<kj::AsyncCapabilityStream>* streamBuffer, size_t maxStreams) {
  auto fds = kj::heapArray<kj::AutoCloseFd>(maxStreams);
  auto reading = tryReadWithFds(buffer, minBytes, maxBytes, fds.begin(), maxStreams);
  return reading.then([this, fds = kj::mv(fds), streamBuffer](ReadResult result) mutable {
    for (auto i: kj::zeroTo(result.capCount)) {
      streamBuffer[i] = lowLevel.wrapUnixSocketFd(kj::mv(fds[i]));
    }
    return result;
  });
}

bool ChannelStream::fill(Buffers& buffers) {
  ReadResult& result = buffers.result;
  while (result.byteCount < buffers.bytes.size()) {
    if (incoming == nullptr && !receive()) {
      return result.byteCount >= buffers.minBytes || ended || readAborted;
    }
    auto& there = KJ_ASSERT_NONNULL(incoming);
    for (UniqueFd& fd: there.message.fds()) {
      if (fd && result.capCount < buffers.fds.size()) {
        buffers.fds[result.capCount++] = kj::AutoCloseFd(fd.Release());
      }
      fd = UniqueFd();  // no later read gets what this one has no room for
    }
    const size_t now = kj::min(there.bytes.size(), buffers.bytes.size() - result.byteCount);
    memcpy(buffers.bytes.begin() + result.byteCount, there.bytes.begin(), now);
    result.byteCount += now;
    there.bytes = there.bytes.slice(now, there.bytes.size());
    if (there.bytes.size() == 0) {
      incoming = nullptr;
    }
  }
  return true;
}

bool ChannelStream::receive() {
  if (ended || readAborted || !isReadable()) {
    return false;
  }
  auto received = channel->TryReceive();
  if (!received.ok()) {
    if (stalls(received.status())) {
      return false;
    }
    if (!channel->ended_by_peer()) {
      kj::throwFatalException(SHOAL_EXCEPTION(received.status()));
    }
    ended = true;
    return false;
  }
  handled();
  if (!*received) {
    return false;  // a part of a message
  }
  auto& there = incoming.emplace(Incoming{**kj::mv(received), nullptr});
  there.bytes = there.message.Root<capnp::AnyPointer>().getAs<capnp::Data>();
  return true;
}

void ChannelStream::abortRead() {
  readAborted = true;
  incoming = nullptr;
  // Its only meaning in a stream is that this side reads no more.
  channel->Notify().IgnoreError();
  KJ_IF_MAYBE (waiting, reader) {
    waiting->goOn();
  }
  wait();
}

void ChannelStream::discard() {
  // The peer's writes and its end must not wait for a reader that is not there.
  const auto received = channel->TryReceive();
  handled();
  ended = !received.ok() && !stalls(received.status());
}

// Writing -------------------------------------------------------------------

kj::Promise<void> ChannelStream::write(const void* buffer, size_t size) {
  return writeWithFds(kj::arrayPtr(static_cast<const kj::byte*>(buffer), size), nullptr,
                      kj::ArrayPtr<const int>());
}

kj::Promise<void> ChannelStream::write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) {
  return writeWithFds(nullptr, pieces, kj::ArrayPtr<const int>());
}

kj::Promise<void> ChannelStream::writeWithFds(
    kj::ArrayPtr<const kj::byte> data, kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> moreData,
    kj::ArrayPtr<const int> fds) {
  return kj::evalNow([&]() { return writeGathered(Gather(data, moreData), fds); });
}

kj::Promise<void> ChannelStream::writeWithStreams(
    kj::ArrayPtr<const kj::byte> data, kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> moreData,
    kj::Array<kj::Own<kj::AsyncCapabilityStream>> streams) {
  auto fds = KJ_MAP(stream, streams) {
    KJ_REQUIRE(kj::dynamicDowncastIfAvailable<ChannelStream>(*stream) == nullptr,
               "a stream over shared memory cannot be sent; its connection has two ends for good");
    return KJ_REQUIRE_NONNULL(stream->getFd(), "only a stream that has a descriptor can be sent");
  };
  auto writing = writeWithFds(data, moreData, fds);
  return writing.attach(kj::mv(streams), kj::mv(fds));
}

kj::Promise<void> ChannelStream::writeGathered(Gather gather, kj::ArrayPtr<const int> fds) {
  while (gather.size() > 0) {
    publish(gather, fds);
    fds = nullptr;
    if (channel->pending_messages() > 0) {
      return whenFlushed().then(
          [this, gather]() mutable { return writeGathered(kj::mv(gather), nullptr); });
    }
  }
  KJ_REQUIRE(fds.size() == 0, "descriptors go with at least one byte");
  return kj::READY_NOW;
}

void ChannelStream::publish(Gather& gather, kj::ArrayPtr<const int> fds) {
  if (channel->HasNotice()) {
    kj::throwFatalException(KJ_EXCEPTION(DISCONNECTED, "the peer does not read any more",
                                         channel->peer().Describe().c_str()));
  }
  const size_t bytes = kj::min(gather.size(), MOST_BYTES_IN_A_MESSAGE);
  const size_t words = bytes / sizeof(capnp::word) + 2;
  OutgoingMessage message =
      channel->Claim(bytes <= BYTES_IN_A_SLOT ? 0 : static_cast<uint32_t>(words));
  gather.take(message.GetRoot<capnp::AnyPointer>().initAs<capnp::Data>(bytes));
  message.SetFds({fds.begin(), fds.size()});
  const absl::Status published = channel->Publish(std::move(message));
  if (!published.ok()) {
    kj::throwFatalException(SHOAL_EXCEPTION(published));
  }
  active();
}

kj::Promise<void> ChannelStream::whenFlushed() {
  auto flushed = kj::newPromiseAndFulfiller<void>();
  flusher = kj::mv(flushed.fulfiller);
  flushing = true;
  wait();
  return kj::mv(flushed.promise);
}

void ChannelStream::flush() {
  const absl::Status flushed = channel->Flush(absl::ZeroDuration());
  if (absl::IsDeadlineExceeded(flushed)) {
    return;  // some of it; the rest when there is room again
  }
  flushing = false;
  KJ_IF_MAYBE (waiting, flusher) {
    if (flushed.ok()) {
      (*waiting)->fulfill();
    } else {
      (*waiting)->reject(SHOAL_EXCEPTION(flushed));
    }
    flusher = nullptr;
  }
}

void ChannelStream::shutdownWrite() {
  channel->End();
  flushing = true;
  flush();
  if (flushing) {
    wait();
  }
}

kj::Promise<void> ChannelStream::whenWriteDisconnected() {
  KJ_IF_MAYBE (promise, disconnected) {
    return promise->addBranch();
  }
  auto paf = kj::newPromiseAndFulfiller<void>();
  disconnectFulfiller = kj::mv(paf.fulfiller);
  wait();
  return disconnected.emplace(paf.promise.fork()).addBranch();
}

// Both ----------------------------------------------------------------------

bool ChannelStream::isWaiting() {
  return isReading() || flushing || disconnectFulfiller != nullptr;
}

bool ChannelStream::isReady() {
  return (isReading() && isReadable()) || (flushing && channel->Flushable()) ||
         (disconnectFulfiller != nullptr && isWriteDisconnected());
}

bool ChannelStream::arm() {
  // A message that nobody wants to read yet does not keep the loop awake; a notice does.
  const bool noMessage = armForMessage() || !isReading();
  return noMessage && (!flushing || channel->ArmForRoom()) &&
         (disconnectFulfiller == nullptr || !isWriteDisconnected());
}

void ChannelStream::serve() {
  if (flushing && channel->Flushable()) {
    flush();
  }
  if (disconnectFulfiller != nullptr && isWriteDisconnected()) {
    KJ_ASSERT_NONNULL(disconnectFulfiller)->fulfill();
    disconnectFulfiller = nullptr;
  }
  if (!isReadable()) {
    return;
  }
  KJ_IF_MAYBE (waiting, reader) {
    waiting->goOn();
  } else if (isReading()) {
    discard();
  }
}

void ChannelStream::getsockopt(int level, int option, void* value, uint* length) {
  KJ_SYSCALL(::getsockopt(channel->socket(), level, option, value, length));
}

void ChannelStream::setsockopt(int level, int option, const void* value, uint length) {
  // What tunes TCP has nothing to tune here, and must not fail a program that is used to it.
  if (level != IPPROTO_TCP) {
    AsyncIoStream::setsockopt(level, option, value, length);
  }
}

void ChannelStream::getsockname(struct sockaddr* addr, uint* length) {
  KJ_SYSCALL(::getsockname(channel->socket(), addr, length));
}

void ChannelStream::getpeername(struct sockaddr* addr, uint* length) {
  KJ_SYSCALL(::getpeername(channel->socket(), addr, length));
}

kj::Maybe<int> ChannelStream::getFd() const {
  return channel->socket();
}

}  // namespace shoal
