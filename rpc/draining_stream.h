#pragma once
// A stream of RPC messages that can end as soon as all calls are answered.

#include "capnp/serialize-async.h"
#include "kj/async-io.h"
#include "kj/memory.h"
#include "shoal/rpc/unanswered.h"
#include "shoal/transport/peer.h"

namespace shoal {

class DrainingStream final: public capnp::MessageStream {
  // Belongs to the thread of its stream.

public:
  explicit DrainingStream(kj::Own<kj::AsyncIoStream> stream, kj::Maybe<Peer> peer = nullptr);
  // With a `peer`, reading fails at its end, with an exception that names it.

  void drain();
  // From now on, the peer's messages end as soon as each call that has come is answered; and end()
  // lasts until the peer has ended its side too. Closing while it is still sending would have it
  // fail before it has read its answers.

  bool hasEnded() { return ended; }
  // Whether no more messages come, or one side has told the other so.

  // implements MessageStream --------------------------------------------------

  kj::Promise<kj::Maybe<capnp::MessageReaderAndFds>> tryReadMessage(
      kj::ArrayPtr<kj::AutoCloseFd> fdSpace, capnp::ReaderOptions options,
      kj::ArrayPtr<capnp::word> scratchSpace) override;
  kj::Promise<void> writeMessage(
      kj::ArrayPtr<const int> fds,
      kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments) override;
  kj::Promise<void> writeMessages(
      kj::ArrayPtr<kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>>> messages) override;
  kj::Maybe<int> getSendBufferSize() override;
  kj::Promise<void> end() override;

private:
  using MaybeMessage = kj::Maybe<capnp::MessageReaderAndFds>;

  void received(capnp::AnyPointer::Reader message);
  MaybeMessage endOfMessages();
  kj::Exception failed(kj::Exception&& exception);
  void sent(kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments);
  void endIfDrained();
  kj::Promise<void> discardRest();

  kj::Own<kj::AsyncIoStream> stream;
  capnp::AsyncIoMessageStream inner;
  const kj::Maybe<Peer> peer;
  Unanswered unanswered;
  bool draining = false;
  bool ended = false;
  kj::Own<kj::PromiseFulfiller<void>> drained;  // of the read that is pending
  kj::Array<kj::byte> rest;                     // what is discarded
};

}  // namespace shoal
