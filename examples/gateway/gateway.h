#pragma once
// Makes the main interface of a server at one address available at another.

#include "kj/async-io.h"
#include "kj/async.h"
#include "kj/string.h"
#include "shoal/rpc/channels.h"
#include "shoal/rpc/poller.h"
#include "shoal/rpc/vat.h"
#include "tls.h"

namespace gateway {

class Gateway final : private kj::TaskSet::ErrorHandler {
  // Each client gets a connection to the server of its own, and the two end together. In between is
  // Cap'n Proto alone: a capability that passes through one way is called back the other, promises
  // are pipelined, streams keep their flow control.

 public:
  Gateway(kj::AsyncIoContext& io, kj::String listenAt, kj::String connectTo, TlsFiles tls);
  // Either address is `shm:...`, `unix:...` or HOST:PORT; `tls`, if there is any, is for the ends
  // that are TCP.

  kj::Promise<kj::String> listen();
  // Begins to serve. Resolves to the address with the port that the system chose, once clients can
  // come; rejects when they cannot.

  kj::Promise<void> whenFailed() { return failed.addBranch(); }
  // Rejects when no more clients can be accepted.

 private:
  kj::Promise<kj::String> listenToStreams();
  kj::Promise<void> accept(kj::Own<kj::ConnectionReceiver> receiver);
  void serve(shoal::Vat client);
  kj::Promise<shoal::Vat> connect();
  void taskFailed(kj::Exception&& exception) override;

  kj::AsyncIoContext& io;
  const kj::String listenAt;
  const kj::String connectTo;
  shoal::Poller poller;
  kj::Maybe<kj::Own<kj::TlsContext>> serverTls;
  kj::Maybe<kj::Own<kj::TlsContext>> clientTls;
  kj::Own<kj::Network> serverNetwork;  // where connectTo is
  kj::Own<kj::PromiseFulfiller<void>> failing;
  kj::ForkedPromise<void> failed;
  kj::Own<shoal::ChannelReceiver> channels;
  kj::TaskSet tasks;
};

}  // namespace gateway
