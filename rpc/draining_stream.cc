#include "shoal/rpc/draining_stream.h"

#include "capnp/message.h"
#include "capnp/rpc.capnp.h"
#include "kj/debug.h"
#include "shoal/rpc/exception.h"

namespace shoal {
namespace {

bool endsTheConnection(capnp::AnyPointer::Reader message) {
  return message.getAs<capnp::rpc::Message>().which() == capnp::rpc::Message::ABORT;
}

}  // namespace

DrainingStream::DrainingStream(kj::Own<kj::AsyncIoStream> streamParam, kj::Maybe<Peer> peer)
    : stream(kj::mv(streamParam)), inner(*stream), peer(kj::mv(peer)) {}

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
  auto read = kj::evalNow([&]() { return inner.tryReadMessage(fdSpace, options, scratchSpace); })
                  .then(
                      [this](MaybeMessage message) {
                        KJ_IF_MAYBE (found, message) {
                          received(found->reader->getRoot<capnp::AnyPointer>());
                          return message;
                        }
                        return endOfMessages();
                      },
                      [this](kj::Exception&& exception) -> MaybeMessage {
                        kj::throwFatalException(failed(kj::mv(exception)));
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
  return kj::evalNow([&]() { return inner.writeMessage(fds, segments); })
      .catch_([this](kj::Exception&& exception) -> kj::Promise<void> {
        return failed(kj::mv(exception));
      });
}

kj::Promise<void> DrainingStream::writeMessages(
    kj::ArrayPtr<kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>>> messages) {
  for (auto& segments: messages) {
    sent(segments);
  }
  return kj::evalNow([&]() { return inner.writeMessages(messages); })
      .catch_([this](kj::Exception&& exception) -> kj::Promise<void> {
        return failed(kj::mv(exception));
      });
}

kj::Exception DrainingStream::failed(kj::Exception&& exception) {
  ended = true;
  KJ_IF_MAYBE (who, peer) {
    if (exception.getType() == kj::Exception::Type::DISCONNECTED) {
      return SHOAL_EXCEPTION(PeerGone(*who));
    }
  }
  return kj::mv(exception);
}

DrainingStream::MaybeMessage DrainingStream::endOfMessages() {
  ended = true;
  KJ_IF_MAYBE (who, peer) {
    kj::throwFatalException(SHOAL_EXCEPTION(PeerClosed(*who)));
  }
  return nullptr;
}

void DrainingStream::received(capnp::AnyPointer::Reader message) {
  ended = ended || endsTheConnection(message);
  unanswered.received(message);
}

void DrainingStream::sent(kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments) {
  capnp::SegmentArrayMessageReader reader(segments);
  auto message = reader.getRoot<capnp::AnyPointer>();
  ended = ended || endsTheConnection(message);
  unanswered.sent(message);
  endIfDrained();
}

kj::Maybe<int> DrainingStream::getSendBufferSize() {
  return inner.getSendBufferSize();
}

kj::Promise<void> DrainingStream::end() {
  ended = true;
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
