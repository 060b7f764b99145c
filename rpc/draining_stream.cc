#include "shoal/rpc/draining_stream.h"

#include "capnp/message.h"

namespace shoal {

DrainingStream::DrainingStream(kj::Own<kj::AsyncIoStream> streamParam)
    : stream(kj::mv(streamParam)), inner(*stream) {}

void DrainingStream::drain() {
  draining = true;
  endIfDrained();
}

void DrainingStream::endIfDrained() {
  if (draining && unanswered.none() && drained.get() != nullptr) {
    drained->fulfill();
  }
}

kj::Promise<DrainingStream::MaybeMessage> DrainingStream::tryReadMessage(
    kj::ArrayPtr<kj::AutoCloseFd> fdSpace, capnp::ReaderOptions options,
    kj::ArrayPtr<capnp::word> scratchSpace) {
  auto read =
      inner.tryReadMessage(fdSpace, options, scratchSpace).then([this](MaybeMessage message) {
        KJ_IF_MAYBE (found, message) {
          unanswered.received(found->reader->getRoot<capnp::AnyPointer>());
        }
        return message;
      });
  auto paf = kj::newPromiseAndFulfiller<void>();
  drained = kj::mv(paf.fulfiller);
  endIfDrained();
  // Last, so that what has come is handed on and answered before the end.
  return read.exclusiveJoin(
      paf.promise.then([]() { return kj::evalLast([]() { return MaybeMessage(nullptr); }); }));
}

kj::Promise<void> DrainingStream::writeMessage(
    kj::ArrayPtr<const int> fds, kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments) {
  sent(segments);
  return inner.writeMessage(fds, segments);
}

kj::Promise<void> DrainingStream::writeMessages(
    kj::ArrayPtr<kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>>> messages) {
  for (auto& segments: messages) {
    sent(segments);
  }
  return inner.writeMessages(messages);
}

void DrainingStream::sent(kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments) {
  capnp::SegmentArrayMessageReader message(segments);
  unanswered.sent(message.getRoot<capnp::AnyPointer>());
  endIfDrained();
}

kj::Maybe<int> DrainingStream::getSendBufferSize() {
  return inner.getSendBufferSize();
}

kj::Promise<void> DrainingStream::end() {
  auto ended = inner.end();
  if (!draining) {
    return ended;
  }
  rest = kj::heapArray<kj::byte>(4096);
  return ended.then([this]() { return discardRest(); });
}

kj::Promise<void> DrainingStream::discardRest() {
  return stream->tryRead(rest.begin(), 1, rest.size())
      .then([this](size_t bytes) -> kj::Promise<void> {
        if (bytes == 0) {
          return kj::READY_NOW;
        }
        return discardRest();
      });
}

}  // namespace shoal
