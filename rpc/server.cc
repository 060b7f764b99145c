#include "shoal/rpc/server.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <map>

#include "kj/debug.h"
#include "shoal/rpc/accepted.h"
#include "shoal/rpc/channels.h"
#include "shoal/rpc/context.h"
#include "shoal/rpc/poller.h"
#include "shoal/rpc/sessions.h"
#include "shoal/rpc/sockets.h"
#include "shoal/rpc/upgrade.h"
#include "shoal/rpc/vat.h"
#include "shoal/rpc/workers.h"

namespace shoal {
namespace {

kj::AutoCloseFd copyOf(int fd) {
  int copy;
  KJ_SYSCALL(copy = fcntl(fd, F_DUPFD_CLOEXEC, 0));
  return kj::AutoCloseFd(copy);
}

}  // namespace

struct RpcServer::Impl final: private kj::TaskSet::ErrorHandler {
  using MaybeCapability = kj::Maybe<capnp::Capability::Client>;

  Impl(MaybeCapability mainInterface, capnp::ReaderOptions readerOptions)
      : Impl(kj::mv(mainInterface), nullptr, readerOptions) {}

  Impl(MaybeCapability mainInterface, BootstrapFactory factoryParam,
       capnp::ReaderOptions readerOptions, const RpcServerOptions& options = RpcServerOptions())
      : mainInterface(kj::mv(mainInterface)),
        factory(kj::mv(factoryParam)),
        readerOptions(readerOptions),
        context(RpcContext::getThreadLocal()),
        accepted(context->getPort().getTimer()),
        sessions(*context, readerOptions, options.traceEncoder,
                 [this](const Peer& client, capnp::AnyPointer::Reader objectId) {
                   return restore(client, objectId);
                 }),
        listening(kj::heap<kj::TaskSet>(static_cast<ErrorHandler&>(*this))),
        clients(clientFailure) {
    const uint threads = options.threads;
    KJ_REQUIRE(threads == 0 || factory != nullptr,
               "a capability belongs to one thread: give a server with threads of its own a "
               "BootstrapFactory, which makes one in each",
               threads);
    if (threads > 0) {
      workers = kj::heap<Workers>(*context, threads, readerOptions, options.traceEncoder, factory);
    }
    auto paf = kj::newPromiseAndFulfiller<uint>();
    port = paf.promise.fork();
    portFulfiller = kj::mv(paf.fulfiller);
  }

  void listen(kj::StringPtr bindAddress, uint defaultPort, RpcServerOptions options) {
    address = kj::heapString(bindAddress);
    options.channel = forRpc(kj::mv(options.channel), readerOptions);
    if (isShmAddress(address)) {
      listening->add(listenToChannels(address, options.channel));
      portFulfiller->fulfill(0);
      return;
    }
    if (isUnixAddress(address)) {
      listening->add(kj::evalNow([this]() { return listen(listenAtUnixAddress(address)); }));
      return;
    }
    listening->add(context->getIoProvider()
                       .getNetwork()
                       .parseAddress(address, defaultPort)
                       .then(
                           [this, options](kj::Own<kj::NetworkAddress> parsed) {
                             return listen(*parsed, options);
                           },
                           [this](kj::Exception&& exception) -> kj::Promise<void> {
                             return cannotListen(address, exception);
                           }));
  }

  kj::Promise<void> listen(kj::NetworkAddress& bindAddress, const RpcServerOptions& options) {
    kj::Own<kj::ConnectionReceiver> receiver;
    KJ_IF_MAYBE (failure, kj::runCatchingExceptions([&]() { receiver = bindAddress.listen(); })) {
      kj::String text = bindAddress.toString();
      return cannotListen(text.findFirst(',') == nullptr ? text : address, *failure);
    }
    if (options.upgrade) {
      offerSharedMemory(*receiver, forUpgrade(options.channel, options.upgradeTrust));
    }
    const uint port = receiver->getPort();
    return listen(kj::mv(receiver), port);
  }

  kj::Promise<void> listen(kj::AutoCloseFd socket) {
    return listen(context->getLowLevelIoProvider().wrapListenSocketFd(kj::mv(socket)), 0);
  }

  void listen(struct sockaddr* bindAddress, uint addrSize) {
    auto resolved = context->getIoProvider().getNetwork().getSockaddr(bindAddress, addrSize);
    RpcServerOptions options;
    options.upgrade = false;
    listening->add(listen(*resolved, options));
  }

  void listen(int socketFd, uint itsPort) {
    listening->add(listen(context->getLowLevelIoProvider().wrapListenSocketFd(socketFd), itsPort));
  }

  kj::Promise<void> listen(kj::Own<kj::ConnectionReceiver> receiver, uint itsPort) {
    context->pollWhileBusy();
    portFulfiller->fulfill(kj::mv(itsPort));
    auto& reference = *receiver;
    return acceptFrom(reference).attach(kj::mv(receiver));
  }

  kj::Promise<void> acceptFrom(kj::ConnectionReceiver& receiver) {
    return kj::evalNow([&receiver]() { return receiver.accept(); })  // which may throw at once
        .then([this](kj::Own<kj::AsyncIoStream> stream) {
          context->requireOwnProcess();
          serve(kj::mv(stream));
          return awaitTurn();
        })
        .catch_([this](kj::Exception&& exception) { return awaitDescriptors(kj::mv(exception)); })
        .then([this, &receiver]() { return acceptFrom(receiver); });
  }

  kj::Promise<void> awaitTurn() {
    // Through the event port: accept() goes on at once while clients connect, and others starve.
    return context->getPort().getTimer().afterDelay(0 * kj::NANOSECONDS);
  }

  kj::Promise<void> awaitDescriptors(kj::Exception&& exception) {
    if (exception.getType() != kj::Exception::Type::OVERLOADED) {
      return kj::mv(exception);
    }
    KJ_LOG(WARNING, "no client can be accepted for now", exception.getDescription());
    return context->getPort().getTimer().afterDelay(DELAY_WHEN_EXHAUSTED);
  }

  kj::Promise<void> listenToChannels(kj::StringPtr name, const ChannelOptions& options) {
    auto receiver = kj::heap<ChannelReceiver>(context->getPort(), name, options);
    auto accepting =
        receiver->listen([this](kj::Own<Channel> channel) { serve(kj::mv(channel)); },
                         [this](kj::StringPtr claim) { return accepted.confirm(claim); });
    return accepting.attach(kj::mv(receiver));
  }

  void offerSharedMemory(kj::ConnectionReceiver& receiver, const ChannelOptions& options) {
    struct sockaddr_storage bound = {};
    uint length = sizeof(bound);
    receiver.getsockname(reinterpret_cast<struct sockaddr*>(&bound), &length);
    KJ_IF_MAYBE (offer, sharedMemoryOffer(reinterpret_cast<struct sockaddr&>(bound))) {
      const auto stayWithTcp = [](kj::Exception&& exception) {
        KJ_LOG(WARNING, "clients of this port get TCP alone", exception);
      };
      kj::Promise<void> accepting = nullptr;
      KJ_IF_MAYBE (exception, kj::runCatchingExceptions(
                                  [&]() { accepting = listenToChannels(*offer, options); })) {
        stayWithTcp(kj::mv(*exception));
        return;
      }
      listening->add(accepting.catch_(stayWithTcp));
      KJ_LOG(INFO, "clients of this port on this machine may use shared memory", *offer);
      isOffering = true;
    }
  }

  void serve(kj::Own<Channel> channel) {
    KJ_IF_MAYBE (threads, workers) {
      clients.add(endedByClient((*threads)->serve(kj::mv(channel))));
    } else {
      clients.add(sessions.serve(kj::mv(channel)));
    }
  }

  void serve(kj::Own<kj::AsyncIoStream> stream) {
    auto entry = enter(*stream);
    KJ_IF_MAYBE (threads, workers) {
      auto socket = copyOf(KJ_ASSERT_NONNULL(stream->getFd()));
      clients.add(endedByClient((*threads)->serve(kj::mv(socket), address)).attach(kj::mv(entry)));
    } else {
      clients.add(sessions.serve(kj::mv(stream), address).attach(kj::mv(entry)));
    }
  }

  kj::Maybe<kj::Own<AcceptedConnections::Entry>> enter(kj::AsyncIoStream& stream) {
    if (isOffering) {
      KJ_IF_MAYBE (connection, tcpConnectionFromServer(stream)) {
        return accepted.add(*connection);
      }
    }
    return nullptr;
  }

  kj::Promise<void> drain() {
    listening = kj::heap<kj::TaskSet>(static_cast<ErrorHandler&>(*this));
    sessions.drain();
    kj::Promise<void> drained = kj::READY_NOW;
    KJ_IF_MAYBE (threads, workers) {
      drained = (*threads)->drain();
    }
    return drained.then([this]() { return clients.onEmpty(); });
  }

  static kj::Promise<void> endedByClient(kj::Promise<void> serving) {
    // One client's failure is that client's alone.
    return serving.catch_(
        [](kj::Exception&& exception) { KJ_LOG(INFO, "a client could not be served", exception); });
  }

  capnp::Capability::Client restore(const Peer& client, capnp::AnyPointer::Reader objectId) {
    if (objectId.isNull()) {
      return factory != nullptr
                 ? factory(client)
                 : KJ_REQUIRE_NONNULL(mainInterface, "the server has no main interface");
    }
    auto name = objectId.getAs<capnp::Text>();
    auto found = exports.find(name);
    KJ_REQUIRE(found != exports.end(), "the server exports nothing under this name", name);
    return found->second.cap;
  }

  void taskFailed(kj::Exception&& exception) override {
    // Listening has failed. A program that only waits would go on and serve nobody, and whoever
    // watches over it would not see that; so whatever it waits for fails, as with EzRpcServer.
    // (From Cap'n Proto 1.0 on, an exception out of the event loop ends the program without
    // unwinding.)
    KJ_LOG(ERROR, "the server cannot accept clients any more", exception);
    const bool isNews = portFulfiller->isWaiting();
    if (isNews) {
      portFulfiller->reject(kj::cp(exception));
    }
    if (!(isNews && portIsAskedFor)) {
      kj::throwFatalException(kj::mv(exception));
    }
  }

  struct ClientFailure final: public kj::TaskSet::ErrorHandler {
    void taskFailed(kj::Exception&& exception) override {
      KJ_LOG(INFO, "a client could not be served", exception);
    }
  };

  struct Export {
    kj::String name;
    capnp::Capability::Client cap;
  };

  kj::String address;  // as the user wrote it, if he did
  MaybeCapability mainInterface;
  const BootstrapFactory factory;
  const capnp::ReaderOptions readerOptions;
  kj::Own<RpcContext> context;
  AcceptedConnections accepted;
  bool isOffering = false;                  // shared memory to clients of a TCP port
  std::map<kj::StringPtr, Export> exports;  // keyed by the name in the value
  kj::ForkedPromise<uint> port = nullptr;
  kj::Own<kj::PromiseFulfiller<uint>> portFulfiller;
  bool portIsAskedFor = false;
  ClientFailure clientFailure;
  Sessions sessions;
  kj::Maybe<kj::Own<Workers>> workers;
  kj::Own<kj::TaskSet> listening;
  kj::TaskSet clients;  // every session; last, so that it is gone first
};

RpcServer::RpcServer(capnp::Capability::Client mainInterface, kj::StringPtr bindAddress,
                     uint defaultPort, capnp::ReaderOptions readerOpts, RpcServerOptions options)
    : impl(kj::heap<Impl>(kj::mv(mainInterface), nullptr, readerOpts, options)) {
  impl->listen(bindAddress, defaultPort, kj::mv(options));
}

RpcServer::RpcServer(decltype(nullptr), kj::StringPtr bindAddress, uint defaultPort,
                     capnp::ReaderOptions readerOpts, RpcServerOptions options)
    : RpcServer(capnp::Capability::Client(nullptr), bindAddress, defaultPort, readerOpts,
                kj::mv(options)) {}

RpcServer::RpcServer(BootstrapFactory factory, kj::StringPtr bindAddress, uint defaultPort,
                     capnp::ReaderOptions readerOpts, RpcServerOptions options)
    : impl(kj::heap<Impl>(nullptr, kj::mv(factory), readerOpts, options)) {
  impl->listen(bindAddress, defaultPort, kj::mv(options));
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
  impl->listen(bindAddress, defaultPort, RpcServerOptions());
}

RpcServer::RpcServer(struct sockaddr* bindAddress, uint addrSize, capnp::ReaderOptions readerOpts)
    : impl(kj::heap<Impl>(nullptr, readerOpts)) {
  impl->listen(bindAddress, addrSize);
}

RpcServer::RpcServer(int socketFd, uint port, capnp::ReaderOptions readerOpts)
    : impl(kj::heap<Impl>(nullptr, readerOpts)) {
  impl->listen(socketFd, port);
}

RpcServer::~RpcServer() noexcept(false) {
  if (impl->context->isForked()) {
    auto& context = *impl->context;
    context.leaveToParent(kj::mv(impl));
  }
}

void RpcServer::exportCap(kj::StringPtr name, capnp::Capability::Client cap) {
  impl->context->requireOwnProcess();
  KJ_REQUIRE(impl->workers == nullptr, "a server with threads of its own exports nothing by name",
             name);
  Impl::Export entry{kj::heapString(name), kj::mv(cap)};
  const kj::StringPtr key = entry.name;
  impl->exports.erase(key);
  impl->exports.emplace(key, kj::mv(entry));
}

kj::Promise<void> RpcServer::drain() {
  impl->context->requireOwnProcess();
  return impl->drain();
}

kj::Promise<uint> RpcServer::getPort() {
  impl->context->requireOwnProcess();
  impl->portIsAskedFor = true;
  return impl->port.addBranch();
}

kj::WaitScope& RpcServer::getWaitScope() {
  impl->context->requireOwnProcess();
  return impl->context->getWaitScope();
}

kj::AsyncIoProvider& RpcServer::getIoProvider() {
  impl->context->requireOwnProcess();
  return impl->context->getIoProvider();
}

kj::LowLevelAsyncIoProvider& RpcServer::getLowLevelIoProvider() {
  impl->context->requireOwnProcess();
  return impl->context->getLowLevelIoProvider();
}

}  // namespace shoal
