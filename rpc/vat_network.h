#pragma once
// Cap'n Proto RPC on a channel, without a copy: where capnp::TwoPartyVatNetwork stands on a stream.

#include "capnp/rpc-twoparty.h"
#include "capnp/rpc.h"
#include "kj/async.h"
#include "kj/time.h"
#include "shoal/rpc/poller.h"
#include "shoal/rpc/unanswered.h"
#include "shoal/transport/channel.h"

namespace shoal {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"  // which KJ's own interfaces have

class VatNetwork final: public capnp::TwoPartyVatNetworkBase,
                        private capnp::TwoPartyVatNetworkBase::Connection,
                        private Poller::Source {
  // Calls are built in this side's outbox and read there by the peer. A message for which the peer
  // has left no block is built on the heap and streamed through the ring, so every message arrives
  // even while the peer holds every block, and claiming one never blocks.
  //
  // Belongs to the thread of its poller, and so do all capabilities that come through it: a call
  // that is made in another thread fails. What TwoPartyVatNetwork allows besides is allowed here
  // too: a server's method may hand its context to another thread, which reads the parameters,
  // releases them and fills the results there, and comes back to fulfil the promise. Messages,
  // results and capabilities obtained through it may outlive it.

public:
  VatNetwork(Poller& poller, kj::Own<Channel> channel, capnp::rpc::twoparty::Side side,
             capnp::ReaderOptions receiveOptions = capnp::ReaderOptions(),
             const kj::MonotonicClock& clock = kj::systemCoarseMonotonicClock());
  // `channel` must have WhenFull::kSpill, for a call must not block the event loop:
  // connectChannel() and ChannelReceiver with forRpc() give such ones. Capabilities travel with
  // their descriptors (capnp::Capability::Server::getFd()), as many in one message as the
  // receiver's ChannelOptions::max_fds_per_message allows, by default none.
  //
  // `receiveOptions` hold for each incoming message; one that is larger than their traversal limit
  // ends the connection. So that none comes, give the same to forRpc(): the peer is told, and a
  // call or an answer that is too large fails where it is sent, while the connection lives on. Over
  // a stream nobody is told, and the connection ends.

  ~VatNetwork() noexcept(false);
  KJ_DISALLOW_COPY(VatNetwork);

  kj::Promise<void> onDisconnect() { return disconnectPromise.addBranch(); }
  // Resolves when the RPC system has let go of the connection, because the peer ended it or died.

  capnp::rpc::twoparty::Side getSide() { return side; }

  Channel& getChannel() { return *channel; }

  size_t getCurrentQueueSize() { return channel->pending_bytes(); }
  // Bytes of outgoing messages that wait in this process until the peer has read others.

  size_t getCurrentQueueCount() { return channel->pending_messages(); }
  // How many messages that is.

  void drain();
  // From now on, the RPC system finds that the peer has left as soon as each call that has come is
  // answered, and ends the connection.

  void failAtEnd() { endIsFailure = true; }
  // From now on, the peer's orderly end fails what is pending with an exception that names the
  // peer, where the RPC system's own does not.

  bool isShutDown() { return shutDown; }
  // Whether the RPC system has given the connection up, so that every call over it fails.

  kj::Duration getOutgoingMessageWaitTime();
  // How long messages have been waiting now; 0 when none does.

  // implements VatNetwork -----------------------------------------------------

  kj::Maybe<kj::Own<capnp::TwoPartyVatNetworkBase::Connection>> connect(
      capnp::rpc::twoparty::VatId::Reader ref) override;
  kj::Promise<kj::Own<capnp::TwoPartyVatNetworkBase::Connection>> accept() override;

private:
  class OutgoingRpcMessage;
  class IncomingRpcMessage;
  using MaybeIncoming = kj::Maybe<kj::Own<capnp::IncomingRpcMessage>>;

  class ConnectionDisposer: public kj::Disposer {
    // This object is the network and its one connection. The RPC system holds the latter; when it
    // has let go of it, `fulfiller` is fulfilled.
  public:
    mutable kj::Own<kj::PromiseFulfiller<void>> fulfiller;
    mutable uint refcount = 0;

    void disposeImpl(void* pointer) const override;
  };

  kj::Own<capnp::TwoPartyVatNetworkBase::Connection> asConnection();
  void send(OutgoingMessage& message);
  void refuse(OutgoingMessage& message, kj::Exception&& reason);
  void fail(kj::Exception&& reason);
  kj::Maybe<MaybeIncoming> tryTake();
  kj::Promise<MaybeIncoming> receiveWhenReady();
  bool isSending();
  void flush();
  bool isDrained();
  void endIfDrained();

  // implements Connection -----------------------------------------------------

  kj::Own<capnp::RpcFlowController> newStream() override;
  capnp::rpc::twoparty::VatId::Reader getPeerVatId() override;
  kj::Own<capnp::OutgoingRpcMessage> newOutgoingMessage(uint firstSegmentWordSize) override;
  kj::Promise<MaybeIncoming> receiveIncomingMessage() override;
  kj::Promise<void> shutdown() override;

  // implements Source ---------------------------------------------------------

  bool isWaiting() override;
  bool isReady() override;
  void serve() override;
  bool arm() override;

  const capnp::rpc::twoparty::Side side;
  const capnp::ReaderOptions receiveOptions;
  const kj::MonotonicClock& clock;
  capnp::MallocMessageBuilder peerVatId;
  bool accepted = false;

  kj::Maybe<kj::Exception> failure;
  // Why nothing can be sent or received any more.

  Unanswered unanswered;
  bool draining = false;
  bool shutDown = false;
  bool endIsFailure = false;

  bool peerGone = false;
  // Nothing can be sent any more; what the peer sent before it went is still received.

  kj::Maybe<kj::Own<kj::PromiseFulfiller<MaybeIncoming>>> receiver;
  // The RPC system waits for a message.

  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> flusher;
  // shutdown() waits until all is delivered.

  kj::TimePoint queuedSince;
  // When the first of the messages that wait now was sent.

  kj::ForkedPromise<void> disconnectPromise = nullptr;
  ConnectionDisposer disposer;
};

#pragma GCC diagnostic pop

}  // namespace shoal
