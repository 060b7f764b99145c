#include "shoal/rpc/vat_network.h"

#include "capnp/message.h"
#include "capnp/rpc.capnp.h"
#include "kj/debug.h"
#include "shoal/rpc/exception.h"

namespace shoal {

namespace twoparty = capnp::rpc::twoparty;
using TwoPartyConnection = capnp::TwoPartyVatNetworkBase::Connection;

namespace {

constexpr uint HINT_THAT_FITS_A_SLOT = 33 + 18;
// The RPC system asks for 33 words for a Call, on top of what the caller says of its parameters, to
// be sure that all fits; it uses 13 (0.9.2 to 1.4.0). With up to 18 for the parameters that is a
// slot's 31 words.

constexpr uint64_t STREAM_WINDOW = 4 << 20;
// Bytes in flight of a stream: some times what is copied, or built and read, in the time that a
// sleeping peer takes to wake.

constexpr const char* USED_OFF_THREAD =
    "a capability was used in another thread than that of its connection, to which it belongs; "
    "have "
    "that thread make the call, with kj::Executor for instance, or connect in this one too";

bool isFromDestructor(capnp::AnyPointer::Reader message) {
  // Whether the RPC system sends such a message where nothing may be thrown. A call and results are
  // sent where an exception goes to whoever waits for them.
  const auto rpcMessage = message.getAs<capnp::rpc::Message>();
  switch (rpcMessage.which()) {
    case capnp::rpc::Message::FINISH:
    case capnp::rpc::Message::RELEASE:
    case capnp::rpc::Message::RESOLVE:
    case capnp::rpc::Message::DISEMBARGO:
      return true;
    case capnp::rpc::Message::RETURN:
      return !rpcMessage.getReturn().isResults();
    default:
      return false;
  }
}

}  // namespace

class VatNetwork::OutgoingRpcMessage final: public capnp::OutgoingRpcMessage {
public:
  OutgoingRpcMessage(VatNetwork& network, uint firstSegmentWordSize)
      : network(network), message(network.channel->Claim(firstSegmentWordSize)) {}

  capnp::AnyPointer::Builder getBody() override { return message.GetRoot<capnp::AnyPointer>(); }
  void setFds(kj::Array<int> fds) override {
    // What is beyond stays with its capability, which arrives without a descriptor.
    const size_t count = kj::min(fds.size(), size_t{network.channel->max_fds()});
    message.SetFds({fds.begin(), count});
  }
  void send() override { network.send(message); }
  size_t sizeInWords() override { return message.SizeInWords(); }

private:
  VatNetwork& network;
  OutgoingMessage message;
};

class VatNetwork::IncomingRpcMessage final: public capnp::IncomingRpcMessage {
public:
  IncomingRpcMessage(IncomingMessage received, const capnp::ReaderOptions& options)
      : message(kj::mv(received)) {
    message.Reopen(options);
    if (!message.fds().empty()) {  // an array of none is allocated too
      fds = KJ_MAP(fd, message.fds()) {
        return kj::AutoCloseFd(fd.Release());
      };
    }
  }

  capnp::AnyPointer::Reader getBody() override { return message.Root<capnp::AnyPointer>(); }
  kj::ArrayPtr<kj::AutoCloseFd> getAttachedFds() override { return fds; }
  size_t sizeInWords() override { return message.SizeInWords(); }

private:
  IncomingMessage message;
  kj::Array<kj::AutoCloseFd> fds;
};

VatNetwork::VatNetwork(Poller& poller, kj::Own<Channel> channelParam, twoparty::Side side,
                       capnp::ReaderOptions receiveOptions, const kj::MonotonicClock& clock)
    : Source(poller, kj::mv(channelParam)),
      side(side),
      receiveOptions(receiveOptions),
      clock(clock),
      peerVatId(4),
      queuedSince(clock.now()) {
  KJ_REQUIRE(channel->options().when_full == WhenFull::kSpill,
             "a channel for RPC needs ChannelOptions::when_full = WhenFull::kSpill, as an event "
             "loop must not block",
             channel->peer().address.c_str());
  peerVatId.initRoot<twoparty::VatId>().setSide(
      side == twoparty::Side::CLIENT ? twoparty::Side::SERVER : twoparty::Side::CLIENT);

  auto disconnected = kj::newPromiseAndFulfiller<void>();
  disconnectPromise = disconnected.promise.fork();
  disposer.fulfiller = kj::mv(disconnected.fulfiller);
}

VatNetwork::~VatNetwork() noexcept(false) {}

void VatNetwork::ConnectionDisposer::disposeImpl(void*) const {
  if (--refcount == 0) {
    fulfiller->fulfill();
  }
}

kj::Own<TwoPartyConnection> VatNetwork::asConnection() {
  ++disposer.refcount;
  return kj::Own<TwoPartyConnection>(this, disposer);
}

kj::Maybe<kj::Own<TwoPartyConnection>> VatNetwork::connect(twoparty::VatId::Reader ref) {
  if (ref.getSide() == side) {
    return nullptr;
  }
  return asConnection();
}

kj::Promise<kj::Own<TwoPartyConnection>> VatNetwork::accept() {
  if (side == twoparty::Side::SERVER && !accepted) {
    accepted = true;
    return asConnection();
  }
  return kj::NEVER_DONE;  // there is just one connection
}

twoparty::VatId::Reader VatNetwork::getPeerVatId() {
  return peerVatId.getRoot<twoparty::VatId>();
}

kj::Own<capnp::RpcFlowController> VatNetwork::newStream() {
  // At most half of what the outbox may grow to: the stream has one half in flight while the peer
  // works on it, and calls beside the stream still find blocks.
  return capnp::RpcFlowController::newFixedWindowController(
      kj::min(STREAM_WINDOW, channel->options().max_slabs_bytes / 2));
}

kj::Own<capnp::OutgoingRpcMessage> VatNetwork::newOutgoingMessage(uint firstSegmentWordSize) {
  return kj::heap<OutgoingRpcMessage>(
      *this, firstSegmentWordSize <= HINT_THAT_FITS_A_SLOT ? 0 : firstSegmentWordSize);
}

void VatNetwork::send(OutgoingMessage& message) {
  if (!poller.isOnThread()) {
    refuse(message, KJ_EXCEPTION(FAILED, USED_OFF_THREAD, channel->peer().address.c_str()));
    return;
  }
  if (failure != nullptr || peerGone) {
    return;  // receiveIncomingMessage() has told, or will tell, why
  }
  const bool wasQueued = channel->pending_messages() > 0;
  const absl::Status sent = channel->Publish(message.Share());
  if (absl::IsInvalidArgument(sent)) {
    refuse(message, SHOAL_EXCEPTION(sent));
    return;
  }
  if (absl::IsUnavailable(sent)) {
    peerGone = true;
    return;
  }
  if (!sent.ok()) {
    fail(SHOAL_EXCEPTION(sent));
    return;
  }
  unanswered.sent(message.GetRoot<capnp::AnyPointer>().asReader());
  active();
  if (!wasQueued && channel->pending_messages() > 0) {
    queuedSince = clock.now();
    wait();
  }
  endIfDrained();
}

void VatNetwork::refuse(OutgoingMessage& message, kj::Exception&& reason) {
  if (!isFromDestructor(message.GetRoot<capnp::AnyPointer>().asReader())) {
    kj::throwRecoverableException(kj::mv(reason));
  } else if (poller.isOnThread()) {
    fail(kj::mv(reason));
  } else {
    KJ_LOG(ERROR, reason);  // the connection is not this thread's to end
  }
}

void VatNetwork::drain() {
  draining = true;
  endIfDrained();
}

bool VatNetwork::isDrained() {
  return draining && unanswered.none() && !channel->Readable();
}

void VatNetwork::endIfDrained() {
  if (receiver != nullptr && isDrained()) {
    KJ_ASSERT_NONNULL(receiver)->fulfill(MaybeIncoming(nullptr));
    receiver = nullptr;
  }
}

kj::Duration VatNetwork::getOutgoingMessageWaitTime() {
  return channel->pending_messages() == 0 ? 0 * kj::NANOSECONDS : clock.now() - queuedSince;
}

kj::Maybe<VatNetwork::MaybeIncoming> VatNetwork::tryTake() {
  KJ_IF_MAYBE (reason, failure) {
    kj::throwFatalException(kj::cp(*reason));
  }
  auto received = channel->TryReceive();
  if (!received.ok()) {
    if (channel->ended_by_peer() && !endIsFailure) {
      return MaybeIncoming(nullptr);
    }
    if (stalls(received.status())) {
      return nullptr;
    }
    kj::throwFatalException(SHOAL_EXCEPTION(received.status()));
  }
  handled();
  if (!*received) {
    return nullptr;  // a part of a message
  }
  const uint64_t words = (*received)->SizeInWords();
  KJ_REQUIRE(words <= receiveOptions.traversalLimitInWords,
             "the peer has sent a message above ReaderOptions::traversalLimitInWords, of which it "
             "was not told; give the same ReaderOptions to forRpc()",
             words, receiveOptions.traversalLimitInWords, channel->peer().address.c_str());
  auto message = kj::heap<IncomingRpcMessage>(**kj::mv(received), receiveOptions);
  unanswered.received(message->getBody());
  return MaybeIncoming(kj::mv(message));
}

kj::Promise<VatNetwork::MaybeIncoming> VatNetwork::receiveIncomingMessage() {
  if (failure == nullptr && (!isReadable() || poller.mustYield())) {
    return isDrained() ? kj::Promise<MaybeIncoming>(MaybeIncoming(nullptr)) : receiveWhenReady();
  }
  return kj::evalNow([this]() -> kj::Promise<MaybeIncoming> {
    KJ_IF_MAYBE (taken, tryTake()) {
      return kj::mv(*taken);
    }
    return receiveWhenReady();
  });
}

kj::Promise<VatNetwork::MaybeIncoming> VatNetwork::receiveWhenReady() {
  auto next = kj::newPromiseAndFulfiller<MaybeIncoming>();
  receiver = kj::mv(next.fulfiller);
  wait();
  return kj::mv(next.promise);
}

kj::Promise<void> VatNetwork::shutdown() {
  shutDown = true;
  KJ_IF_MAYBE (reason, failure) {
    return kj::cp(*reason);  // what is queued is never delivered
  }
  channel->End();
  const absl::Status flushed = channel->Flush(absl::ZeroDuration());
  if (!absl::IsDeadlineExceeded(flushed)) {
    if (flushed.ok()) {
      return kj::READY_NOW;
    }
    return SHOAL_EXCEPTION(flushed);
  }
  auto waiting = kj::newPromiseAndFulfiller<void>();
  flusher = kj::mv(waiting.fulfiller);
  wait();
  return kj::mv(waiting.promise);
}

bool VatNetwork::isSending() {
  return !peerGone && (flusher != nullptr || channel->pending_messages() > 0);
}

bool VatNetwork::isWaiting() {
  return failure == nullptr && (receiver != nullptr || isSending());
}

bool VatNetwork::isReady() {
  return (receiver != nullptr && isReadable()) || (isSending() && channel->Flushable());
}

bool VatNetwork::arm() {
  return (receiver == nullptr || armForMessage()) && (!isSending() || channel->ArmForRoom());
}

void VatNetwork::serve() {
  if (isSending() && channel->Flushable()) {
    flush();
  }
  if (receiver == nullptr || !isReadable()) {
    return;
  }
  auto& fulfiller = *KJ_ASSERT_NONNULL(receiver);
  bool done = true;
  fulfiller.rejectIfThrows([&]() {
    KJ_IF_MAYBE (taken, tryTake()) {
      fulfiller.fulfill(kj::mv(*taken));
    } else {
      done = false;  // a part of a message, or none for now
    }
  });
  if (done) {
    receiver = nullptr;
  }
}

void VatNetwork::flush() {
  handled();
  const absl::Status flushed = channel->Flush(absl::ZeroDuration());
  if (absl::IsDeadlineExceeded(flushed)) {
    return;  // some of it; the rest when there is room again
  }
  peerGone = absl::IsUnavailable(flushed);
  if (!flushed.ok() && !peerGone) {
    fail(SHOAL_EXCEPTION(flushed));
    return;
  }
  KJ_IF_MAYBE (waiting, flusher) {
    if (peerGone) {
      (*waiting)->reject(SHOAL_EXCEPTION(flushed));
    } else {
      (*waiting)->fulfill();
    }
    flusher = nullptr;
  }
}

void VatNetwork::fail(kj::Exception&& reason) {
  KJ_IF_MAYBE (waiting, flusher) {
    (*waiting)->reject(kj::cp(reason));
    flusher = nullptr;
  }
  KJ_IF_MAYBE (waiting, receiver) {
    (*waiting)->reject(kj::cp(reason));
    receiver = nullptr;
  }
  failure = kj::mv(reason);
}

}  // namespace shoal
