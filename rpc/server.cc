#include "shoal/rpc/server.h"

#include <map>

#include "capnp/rpc.h"
#include "kj/debug.h"
#include "shoal/rpc/channels.h"
#include "shoal/rpc/context.h"
#include "shoal/rpc/vat.h"

namespace shoal {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;

struct RpcServer::Impl final: private capnp::SturdyRefRestorer<capnp::AnyPointer>,
                              private kj::TaskSet::ErrorHandler {
  // The restorer gives the main interface to who names nothing, which is what bootstrapping is, and
  // an exported capability to who names it.

  Impl(kj::Maybe<capnp::Capability::Client> mainInterface, capnp::ReaderOptions readerOpts)
      : mainInterface(kj::mv(mainInterface)),
        readerOpts(readerOpts),
        context(RpcContext::getThreadLocal()),
        tasks(*this) {
    auto paf = kj::newPromiseAndFulfiller<uint>();
    port = paf.promise.fork();
    portFulfiller = kj::mv(paf.fulfiller);
  }

  void listen(kj::StringPtr address, uint defaultPort, const ChannelOptions& channelOpts) {
    if (isShmAddress(address)) {
      auto receiver = kj::heap<ChannelReceiver>(context->getPort(), address, forRpc(channelOpts));
      portFulfiller->fulfill(0);
      auto listening = receiver->listen([this](kj::Own<Channel> channel) {
        serve(newVat(*context, kj::mv(channel), Side::SERVER, readerOpts));
      });
      tasks.add(listening.attach(kj::mv(receiver)));
      return;
    }
    tasks.add(
        context->getIoProvider()
            .getNetwork()
            .parseAddress(address, defaultPort)
            .then([this](kj::Own<kj::NetworkAddress> parsed) { return listen(parsed->listen()); }));
  }

  void listen(struct sockaddr* bindAddress, uint addrSize) {
    auto address = context->getIoProvider().getNetwork().getSockaddr(bindAddress, addrSize);
    tasks.add(listen(address->listen()));
  }

  void listen(int socketFd, uint itsPort) {
    auto receiver = context->getLowLevelIoProvider().wrapListenSocketFd(socketFd);
    portFulfiller->fulfill(kj::mv(itsPort));
    auto& reference = *receiver;
    tasks.add(acceptFrom(reference).attach(kj::mv(receiver)));
  }

  kj::Promise<void> listen(kj::Own<kj::ConnectionReceiver> receiver) {
    portFulfiller->fulfill(receiver->getPort());
    auto& reference = *receiver;
    return acceptFrom(reference).attach(kj::mv(receiver));
  }

  kj::Promise<void> acceptFrom(kj::ConnectionReceiver& receiver) {
    return receiver.accept().then([this, &receiver](kj::Own<kj::AsyncIoStream> stream) {
      serve(newVat(kj::mv(stream), Side::SERVER, readerOpts));
      return acceptFrom(receiver);
    });
  }

  struct Session {
    Session(Vat vatParam, capnp::SturdyRefRestorer<capnp::AnyPointer>& restorer)
        : vat(kj::mv(vatParam)), rpcSystem(*vat.network, restorer) {}

    Vat vat;
    capnp::RpcSystem<VatId> rpcSystem;
  };

  void serve(Vat vat) {
    auto disconnected = kj::mv(vat.disconnected);
    tasks.add(disconnected.attach(
        kj::heap<Session>(Vat{kj::mv(vat.network), nullptr},
                          static_cast<SturdyRefRestorer<capnp::AnyPointer>&>(*this))));
  }

  capnp::Capability::Client restore(capnp::AnyPointer::Reader objectId) override {
    if (objectId.isNull()) {
      return KJ_REQUIRE_NONNULL(mainInterface, "the server has no main interface");
    }
    auto name = objectId.getAs<capnp::Text>();
    auto found = exports.find(name);
    KJ_REQUIRE(found != exports.end(), "the server exports nothing under this name", name) {
      return nullptr;
    }
    return found->second.cap;
  }

  void taskFailed(kj::Exception&& exception) override {
    // Sessions do not fail, they end; so it is listening that has failed. Throwing out of the event
    // loop is not to be had: Cap'n Proto 1.0 and later aborts on it.
    KJ_LOG(ERROR, "the server cannot accept clients any more", exception);
    if (portFulfiller->isWaiting()) {
      portFulfiller->reject(kj::mv(exception));
    }
  }

  struct Export {
    kj::String name;
    capnp::Capability::Client cap;
  };

  kj::Maybe<capnp::Capability::Client> mainInterface;
  const capnp::ReaderOptions readerOpts;
  kj::Own<RpcContext> context;
  std::map<kj::StringPtr, Export> exports;  // keyed by the name in the value
  kj::ForkedPromise<uint> port = nullptr;
  kj::Own<kj::PromiseFulfiller<uint>> portFulfiller;
  kj::TaskSet tasks;  // listening, and every session; last, so that it is gone first
};

RpcServer::RpcServer(capnp::Capability::Client mainInterface, kj::StringPtr bindAddress,
                     uint defaultPort, capnp::ReaderOptions readerOpts, ChannelOptions channelOpts)
    : impl(kj::heap<Impl>(kj::mv(mainInterface), readerOpts)) {
  impl->listen(bindAddress, defaultPort, channelOpts);
}

RpcServer::RpcServer(capnp::Capability::Client mainInterface, struct sockaddr* bindAddress,
                     uint addrSize, capnp::ReaderOptions readerOpts)
    : impl(kj::heap<Impl>(kj::mv(mainInterface), readerOpts)) {
  impl->listen(bindAddress, addrSize);
}

RpcServer::RpcServer(capnp::Capability::Client mainInterface, int socketFd, uint port,
                     capnp::ReaderOptions readerOpts)
    : impl(kj::heap<Impl>(kj::mv(mainInterface), readerOpts)) {
  impl->listen(socketFd, port);
}

RpcServer::RpcServer(kj::StringPtr bindAddress, uint defaultPort, capnp::ReaderOptions readerOpts)
    : impl(kj::heap<Impl>(nullptr, readerOpts)) {
  impl->listen(bindAddress, defaultPort, ChannelOptions());
}

RpcServer::RpcServer(struct sockaddr* bindAddress, uint addrSize, capnp::ReaderOptions readerOpts)
    : impl(kj::heap<Impl>(nullptr, readerOpts)) {
  impl->listen(bindAddress, addrSize);
}

RpcServer::RpcServer(int socketFd, uint port, capnp::ReaderOptions readerOpts)
    : impl(kj::heap<Impl>(nullptr, readerOpts)) {
  impl->listen(socketFd, port);
}

RpcServer::~RpcServer() noexcept(false) {}

void RpcServer::exportCap(kj::StringPtr name, capnp::Capability::Client cap) {
  Impl::Export entry{kj::heapString(name), kj::mv(cap)};
  const kj::StringPtr key = entry.name;
  impl->exports.erase(key);
  impl->exports.emplace(key, kj::mv(entry));
}

kj::Promise<uint> RpcServer::getPort() {
  return impl->port.addBranch();
}

kj::WaitScope& RpcServer::getWaitScope() {
  return impl->context->getWaitScope();
}

kj::AsyncIoProvider& RpcServer::getIoProvider() {
  return impl->context->getIoProvider();
}

kj::LowLevelAsyncIoProvider& RpcServer::getLowLevelIoProvider() {
  return impl->context->getLowLevelIoProvider();
}

}  // namespace shoal
