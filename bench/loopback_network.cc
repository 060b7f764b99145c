#include "shoal/bench/loopback_network.h"

#include "kj/refcount.h"

namespace shoal {

namespace twoparty = capnp::rpc::twoparty;
using TwoPartyConnection = capnp::TwoPartyVatNetworkBase::Connection;

namespace {

constexpr uint FIRST_SEGMENT_WORDS = 32;
// Without a hint. Holds a small Call or Return; the 1024 words that Cap'n Proto's own network takes
// must all be cleared, and would make what is compared with this network look cheaper.

constexpr capnp::ReaderOptions ANY_SIZE = {.traversalLimitInWords = kj::maxValue,
                                           .nestingLimit = 64};

}  // namespace

class LoopbackNetwork::Message final : public kj::Refcounted {
  // Shared, as the RPC system may look at a Return that it has sent until the Finish comes.

 public:
  explicit Message(uint firstSegmentWords) : builder(firstSegmentWords) {}

  size_t sizeInWords() {
    size_t words = 0;
    for (auto segment : builder.getSegmentsForOutput()) {
      words += segment.size();
    }
    return words;
  }

  capnp::MallocMessageBuilder builder;
};

class LoopbackNetwork::IncomingRpcMessage final : public capnp::IncomingRpcMessage {
 public:
  explicit IncomingRpcMessage(kj::Own<Message> messageParam)
      : message(kj::mv(messageParam)), reader(message->builder.getSegmentsForOutput(), ANY_SIZE) {}

  capnp::AnyPointer::Reader getBody() override { return reader.getRoot<capnp::AnyPointer>(); }
  size_t sizeInWords() override { return message->sizeInWords(); }

 private:
  kj::Own<Message> message;
  capnp::SegmentArrayMessageReader reader;
};

class LoopbackNetwork::OutgoingRpcMessage final : public capnp::OutgoingRpcMessage {
 public:
  OutgoingRpcMessage(LoopbackNetwork& network, uint firstSegmentWords)
      : network(network), message(kj::refcounted<Message>(firstSegmentWords)) {}

  capnp::AnyPointer::Builder getBody() override {
    return message->builder.getRoot<capnp::AnyPointer>();
  }

  void send() override {
    network.send(MaybeIncoming(
        kj::Own<capnp::IncomingRpcMessage>(kj::heap<IncomingRpcMessage>(kj::addRef(*message)))));
  }

  size_t sizeInWords() override { return message->sizeInWords(); }

 private:
  LoopbackNetwork& network;
  kj::Own<Message> message;
};

LoopbackNetwork::LoopbackNetwork(twoparty::Side side) : side(side), peerVatId(4) {
  peerVatId.initRoot<twoparty::VatId>().setSide(
      side == twoparty::Side::CLIENT ? twoparty::Side::SERVER : twoparty::Side::CLIENT);
}

LoopbackNetwork::~LoopbackNetwork() noexcept(false) {
  if (peer != nullptr) {
    peer->peer = nullptr;
  }
}

void LoopbackNetwork::join(LoopbackNetwork& other) {
  peer = &other;
  other.peer = this;
}

kj::Own<TwoPartyConnection> LoopbackNetwork::asConnection() {
  return kj::Own<TwoPartyConnection>(this, kj::NullDisposer::instance);
}

kj::Maybe<kj::Own<TwoPartyConnection>> LoopbackNetwork::connect(twoparty::VatId::Reader ref) {
  if (ref.getSide() == side) {
    return nullptr;
  }
  return asConnection();
}

kj::Promise<kj::Own<TwoPartyConnection>> LoopbackNetwork::accept() {
  if (side == twoparty::Side::SERVER && !accepted) {
    accepted = true;
    return asConnection();
  }
  return kj::NEVER_DONE;  // there is just one connection
}

twoparty::VatId::Reader LoopbackNetwork::getPeerVatId() {
  return peerVatId.getRoot<twoparty::VatId>();
}

kj::Own<capnp::OutgoingRpcMessage> LoopbackNetwork::newOutgoingMessage(uint firstSegmentWordSize) {
  return kj::heap<OutgoingRpcMessage>(
      *this, firstSegmentWordSize == 0 ? FIRST_SEGMENT_WORDS : firstSegmentWordSize);
}

void LoopbackNetwork::send(MaybeIncoming message) {
  if (peer != nullptr) {
    peer->deliver(kj::mv(message));
  }
}

void LoopbackNetwork::deliver(MaybeIncoming message) {
  KJ_IF_MAYBE (waiting, receiver) {
    (*waiting)->fulfill(kj::mv(message));
    receiver = nullptr;
    return;
  }
  arrived.push_back(kj::mv(message));
}

kj::Promise<LoopbackNetwork::MaybeIncoming> LoopbackNetwork::receiveIncomingMessage() {
  if (!arrived.empty()) {
    MaybeIncoming message = kj::mv(arrived.front());
    arrived.pop_front();
    return kj::mv(message);
  }
  auto next = kj::newPromiseAndFulfiller<MaybeIncoming>();
  receiver = kj::mv(next.fulfiller);
  return kj::mv(next.promise);
}

kj::Promise<void> LoopbackNetwork::shutdown() {
  send(nullptr);
  return kj::READY_NOW;
}

}  // namespace shoal
