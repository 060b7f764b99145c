#pragma once
// A KJ byte stream on a channel.

#include "kj/async-io.h"
#include "kj/vector.h"
#include "shoal/rpc/poller.h"
#include "shoal/transport/channel.h"

namespace shoal {

constexpr char STREAM_PROTOCOL[] = "bytes";
// ChannelOptions::protocol of channels that carry byte streams.

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"  // which KJ's own interfaces have

class ChannelStream final: public kj::AsyncCapabilityStream, private Poller::Source {
  // What is written is copied into this side's outbox, and from there into the peer's buffer: two
  // copies, and no system call while both sides are awake. What the peer has not read yet waits in
  // the outbox; when that is full, write() waits.
  //
  // A peer that dies is an exception of type DISCONNECTED; one that ends its side, as
  // shutdownWrite() does, is the end of the stream.
  //
  // Descriptors go with the bytes that they are written with, at most the peer's
  // ChannelOptions::max_fds_per_message in one write. Streams can be sent that have a descriptor of
  // their own, sockets and pipes; one over shared memory cannot.
  //
  // Belongs to the thread of its poller.

public:
  ChannelStream(Poller& poller, kj::LowLevelAsyncIoProvider& lowLevel, kj::Own<Channel> channel);
  // `channel` must have WhenFull::kSpill. Received streams are made with `lowLevel`.

  ~ChannelStream() noexcept(false);
  KJ_DISALLOW_COPY(ChannelStream);

  const Peer& getPeer() { return channel->peer(); }

  // implements AsyncInputStream -----------------------------------------------

  kj::Promise<size_t> tryRead(void* buffer, size_t minBytes, size_t maxBytes) override;

  // implements AsyncOutputStream ----------------------------------------------

  kj::Promise<void> write(const void* buffer, size_t size) override;
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override;
  kj::Promise<void> whenWriteDisconnected() override;

  // implements AsyncIoStream --------------------------------------------------

  void shutdownWrite() override;
  void abortRead() override;

  void getsockopt(int level, int option, void* value, uint* length) override;
  void setsockopt(int level, int option, const void* value, uint length) override;
  void getsockname(struct sockaddr* addr, uint* length) override;
  void getpeername(struct sockaddr* addr, uint* length) override;
  kj::Maybe<int> getFd() const override;
  // Those of the Unix socket that the connection was made with: good for asking who the peer is,
  // not for reading or writing.

  // implements AsyncCapabilityStream ------------------------------------------

  kj::Promise<void> writeWithFds(kj::ArrayPtr<const kj::byte> data,
                                 kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> moreData,
                                 kj::ArrayPtr<const int> fds) override;
  kj::Promise<ReadResult> tryReadWithFds(void* buffer, size_t minBytes, size_t maxBytes,
                                         kj::AutoCloseFd* fdBuffer, size_t maxFds) override;
  kj::Promise<void> writeWithStreams(
      kj::ArrayPtr<const kj::byte> data, kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> moreData,
      kj::Array<kj::Own<kj::AsyncCapabilityStream>> streams) override;
  kj::Promise<ReadResult> tryReadWithStreams(void* buffer, size_t minBytes, size_t maxBytes,
                                             kj::Own<kj::AsyncCapabilityStream>* streamBuffer,
                                             size_t maxStreams) override;

private:
  class Gather;
  class Reading;

  struct Incoming {
    // What has come and is not read yet.
    IncomingMessage message;
    kj::ArrayPtr<const kj::byte> bytes;
  };

  struct Buffers {
    // What a read fills.
    kj::ArrayPtr<kj::byte> bytes;
    size_t minBytes;
    kj::ArrayPtr<kj::AutoCloseFd> fds;
    ReadResult result;
  };

  bool fill(Buffers& buffers);
  // Takes what is there, and returns whether the read is done.

  bool receive();
  void discard();
  bool isReading() { return !ended && (reader != nullptr || readAborted); }

  kj::Promise<void> writeGathered(Gather gather, kj::ArrayPtr<const int> fds);
  void publish(Gather& gather, kj::ArrayPtr<const int> fds);
  kj::Promise<void> whenFlushed();
  void flush();
  bool isWriteDisconnected() { return channel->HasNotice() || channel->hung_up(); }

  // implements Source ---------------------------------------------------------

  bool isWaiting() override;
  bool isReady() override;
  void serve() override;
  bool arm() override;

  kj::LowLevelAsyncIoProvider& lowLevel;

  kj::Maybe<Incoming> incoming;
  bool ended = false;        // the peer sends nothing more
  bool readAborted = false;  // and this side does not want it
  kj::Maybe<Reading&> reader;

  bool flushing = false;  // something waits for room
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> flusher;

  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> disconnectFulfiller;
  kj::Maybe<kj::ForkedPromise<void>> disconnected;
};

#pragma GCC diagnostic pop

}  // namespace shoal
