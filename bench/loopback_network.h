#pragma once
// Cap'n Proto RPC between two vats of one thread with nothing underneath: what a call costs before
// any transport.

#include <sys/types.h>

#include <deque>

#include "capnp/message.h"
#include "capnp/rpc-twoparty.h"
#include "capnp/rpc.h"
#include "kj/async.h"

namespace shoal {

class LoopbackNetwork final : public capnp::TwoPartyVatNetworkBase,
                              private capnp::TwoPartyVatNetworkBase::Connection {
  // One of two ends:
  //
  //     LoopbackNetwork client(Side::CLIENT), server(Side::SERVER);
  //     client.join(server);
  //
  // A message is built on the heap and read there by the other end; nothing is copied, and no
  // message is too large. Both ends belong to one event loop and outlive the RPC systems on them.

 public:
  explicit LoopbackNetwork(capnp::rpc::twoparty::Side side);
  ~LoopbackNetwork() noexcept(false);
  KJ_DISALLOW_COPY(LoopbackNetwork);

  void join(LoopbackNetwork& other);
  // From now on each gets what the other sends. To be called once, for one of the two.

  // implements VatNetwork -----------------------------------------------------

  kj::Maybe<kj::Own<capnp::TwoPartyVatNetworkBase::Connection>> connect(
      capnp::rpc::twoparty::VatId::Reader ref) override;
  kj::Promise<kj::Own<capnp::TwoPartyVatNetworkBase::Connection>> accept() override;

 private:
  class Message;
  class OutgoingRpcMessage;
  class IncomingRpcMessage;
  using MaybeIncoming = kj::Maybe<kj::Own<capnp::IncomingRpcMessage>>;

  kj::Own<capnp::TwoPartyVatNetworkBase::Connection> asConnection();
  void send(MaybeIncoming message);
  void deliver(MaybeIncoming message);

  // implements Connection -----------------------------------------------------

  capnp::rpc::twoparty::VatId::Reader getPeerVatId() override;
  kj::Own<capnp::OutgoingRpcMessage> newOutgoingMessage(uint firstSegmentWordSize) override;
  kj::Promise<MaybeIncoming> receiveIncomingMessage() override;
  kj::Promise<void> shutdown() override;

  const capnp::rpc::twoparty::Side side;
  capnp::MallocMessageBuilder peerVatId;
  LoopbackNetwork* peer = nullptr;  // null when it is gone; what is sent then is dropped
  bool accepted = false;

  std::deque<MaybeIncoming> arrived;
  // What the peer has sent and the RPC system has not taken; null is the peer's end.

  kj::Maybe<kj::Own<kj::PromiseFulfiller<MaybeIncoming>>> receiver;
  // The RPC system waits for a message; then `arrived` is empty.
};

}  // namespace shoal
