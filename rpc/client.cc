#include "shoal/rpc/client.h"

#include <cerrno>
#include <cstring>

#include "capnp/rpc.h"
#include "kj/debug.h"
#include "kj/refcount.h"
#include "kj/timer.h"
#include "shoal/rpc/channels.h"
#include "shoal/rpc/context.h"
#include "shoal/rpc/reconnecting.h"
#include "shoal/rpc/resolving_client.h"
#include "shoal/rpc/sockets.h"
#include "shoal/rpc/upgrade.h"
#include "shoal/rpc/vat.h"

namespace shoal {
namespace {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;

class Session {
  // A connection that is there.

public:
  Session(Vat vatParam, const TraceEncoder& traceEncoder)
      : vat(kj::mv(vatParam)),
        rpcSystem(capnp::makeRpcClient(*vat.network)),
        main(bootstrapServer(rpcSystem)),
        ending(vat.disconnected.then([this]() { ended = true; }).eagerlyEvaluate(nullptr)) {
    if (traceEncoder) {
      rpcSystem.setTraceEncoder(
          [traceEncoder](const kj::Exception& exception) { return traceEncoder(exception); });
    }
  }
  KJ_DISALLOW_COPY(Session);

  capnp::Capability::Client getMain() {
    // The same for all, as asking for it once the connection has ended is an error in the stock
    // two-party network from which no program recovers (0.9.2).
    return main;
  }

  bool isLost() { return vat.isLost(); }

  capnp::Capability::Client getNamed(kj::StringPtr name) {
    if (ended) {
      return KJ_EXCEPTION(DISCONNECTED, "the connection has ended", name);
    }
    capnp::MallocMessageBuilder message(4);
    auto server = message.initRoot<VatId>();
    server.setSide(Side::SERVER);
    capnp::MallocMessageBuilder objectId;
    objectId.getRoot<capnp::AnyPointer>().setAs<capnp::Text>(name);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    return rpcSystem.restore(server, objectId.getRoot<capnp::AnyPointer>());
#pragma GCC diagnostic pop
  }

private:
  Vat vat;
  capnp::RpcSystem<VatId> rpcSystem;
  capnp::Capability::Client main;
  bool ended = false;
  kj::Promise<void> ending;
};

struct Connected {
  Vat vat;
  kj::String address;  // where the server was found
};

Connected newConnected(kj::Own<kj::AsyncIoStream> stream, kj::StringPtr address,
                       capnp::ReaderOptions readerOptions) {
  Peer server = peerBehind(*stream, address);
  return {newVat(kj::mv(stream), Side::CLIENT, readerOptions, kj::mv(server)),
          kj::heapString(address)};
}

class Connector {
  // Makes connections to one address.

public:
  Connector(RpcContext& context, kj::StringPtr address, uint defaultPort,
            capnp::ReaderOptions readerOptions, RpcClientOptions optionsParam)
      : context(context),
        address(kj::heapString(address)),
        defaultPort(defaultPort),
        readerOptions(readerOptions),
        options(kj::mv(optionsParam)) {
    options.channel = forRpc(kj::mv(options.channel), readerOptions);
  }

  kj::Promise<Connected> connect() {
    if (isShmAddress(address)) {
      return connectChannel(context.getPort(), address, options.channel)
          .then(
              [this](kj::Own<Channel> channel) { return connectedOver(kj::mv(channel), address); });
    }
    context.pollWhileBusy();
    if (isUnixAddress(address)) {
      return kj::evalNow([this]() {
        auto socket = connectToUnixAddress(address);
        return newConnected(context.getLowLevelIoProvider().wrapSocketFd(kj::mv(socket)), address,
                            readerOptions);
      });
    }
    return context.getIoProvider()
        .getNetwork()
        .parseAddress(address, defaultPort)
        .catch_([this](kj::Exception&& exception) -> kj::Promise<kj::Own<kj::NetworkAddress>> {
          return kj::Exception(exception.getType(), __FILE__, __LINE__,
                               kj::str(address, ": ", exception.getDescription()));
        })
        .then([this](kj::Own<kj::NetworkAddress> parsed) { return connectStream(kj::mv(parsed)); });
  }

private:
  struct Stream {
    // A connection over which nothing has been said yet.
    kj::Own<kj::AsyncIoStream> io;
    kj::String server;
    kj::String claim;
    kj::Array<kj::String> offers;  // where its server may have shared memory
  };

  kj::Promise<Connected> connectStream(kj::Own<kj::NetworkAddress> parsed) {
    kj::String text = parsed->toString();
    if (text.findFirst(',') != nullptr) {
      text = kj::heapString(address);  // a name that stands for several
    }
    auto connecting = parsed->connect().attach(kj::mv(parsed));
    return connecting.then(
        [this, server = kj::str(text)](kj::Own<kj::AsyncIoStream> stream) mutable {
          return upgrade(kj::heap<Stream>(offersTo(kj::mv(stream), kj::mv(server))), 0);
        },
        [server = kj::str(text)](kj::Exception&& exception) -> kj::Promise<Connected> {
          return cannotConnect(server, exception);
        });
  }

  Stream offersTo(kj::Own<kj::AsyncIoStream> stream, kj::String server) {
    KJ_IF_MAYBE (connection, tcpConnectionFromClient(*stream)) {
      if (connection->client == connection->server) {
        // A connect to an unused local port can connect to itself (TCP simultaneous open).
        kj::throwFatalException(
            cannotConnect(server, KJ_EXCEPTION(DISCONNECTED, strerror(ECONNREFUSED))));
      }
      kj::String claim = connection->getClaim();
      auto offers =
          options.upgrade ? sharedMemoryOffers(*stream, options.channel.allowed_uids) : nullptr;
      return {kj::mv(stream), kj::mv(connection->server), kj::mv(claim), kj::mv(offers)};
    }
    return {kj::mv(stream), kj::mv(server), kj::String(), nullptr};
  }

  kj::Promise<Connected> upgrade(kj::Own<Stream> stream, size_t next) {
    if (next == stream->offers.size()) {
      return newConnected(kj::mv(stream->io), stream->server, readerOptions);
    }
    auto& offer = stream->offers[next];
    auto trying =
        tryConnectChannel(context.getPort(), offer,
                          forUpgrade(options.channel, options.upgradeTrust), stream->claim)
            .catch_([&offer](kj::Exception&& exception) {
              KJ_LOG(INFO, "shared memory that is offered cannot be used", offer, exception);
              return kj::Maybe<kj::Own<Channel>>(nullptr);
            });
    return trying.then([this, stream = kj::mv(stream),
                        next](kj::Maybe<kj::Own<Channel>> found) mutable -> kj::Promise<Connected> {
      KJ_IF_MAYBE (channel, found) {
        return connectedOver(kj::mv(*channel), stream->offers[next]);
      }
      return upgrade(kj::mv(stream), next + 1);
    });
  }

  Connected connectedOver(kj::Own<Channel> channel, kj::StringPtr at) {
    return {newVat(context.getPoller(), kj::mv(channel), Side::CLIENT, readerOptions),
            kj::heapString(at)};
  }

  RpcContext& context;
  const kj::String address;
  const uint defaultPort;
  const capnp::ReaderOptions readerOptions;
  RpcClientOptions options;
};

}  // namespace

struct RpcClient::Impl {
  using Connect = kj::Function<kj::Promise<Connected>()>;

  Impl(kj::Own<RpcContext> contextParam, Connect connectParam,
       RpcClientOptions optionsParam = RpcClientOptions())
      : context(kj::mv(contextParam)),
        connect(kj::mv(connectParam)),
        options(kj::mv(optionsParam)),
        delay(options.reconnectDelay),
        setup(open()) {
    if (options.reconnect) {
      reconnecting = newReconnecting(getSessionsMain(), [self = kj::addRef(*self)]() {
        KJ_IF_MAYBE (impl, self->impl) {
          return impl->reconnectIfLost();
        }
        return kj::Maybe<capnp::Capability::Client>(
            kj::Promise<capnp::Capability::Client>(clientIsGone()));
      });
    }
  }

  ~Impl() noexcept(false) {
    self->impl = nullptr;
    canceler.cancel(clientIsGone());
  }

  static kj::Exception clientIsGone() {
    return KJ_EXCEPTION(DISCONNECTED, "the RpcClient is gone");
  }

  capnp::Capability::Client getMain() {
    KJ_IF_MAYBE (main, reconnecting) {
      return *main;
    }
    return getSessionsMain();
  }

  capnp::Capability::Client getSessionsMain() {
    return whenConnected([](Session& connected) { return connected.getMain(); });
  }

  kj::ForkedPromise<void> open() {
    return canceler
        .wrap(connect().then([this](Connected connected) {
          KJ_LOG(INFO, "connected", connected.address);
          address = kj::mv(connected.address);
          session = kj::heap<Session>(kj::mv(connected.vat), options.traceEncoder);
          delay = options.reconnectDelay;
        }))
        .catch_([this](kj::Exception&& exception) {
          isRefused = true;
          kj::throwFatalException(kj::mv(exception));
        })
        .fork();
  }

  kj::Maybe<capnp::Capability::Client> reconnectIfLost() {
    bool isLost = isRefused;
    KJ_IF_MAYBE (connected, session) {
      isLost = (*connected)->isLost();
    }
    if (!isLost) {
      return nullptr;
    }
    reopen();
    return getSessionsMain();
  }

  void reopen() {
    session = nullptr;
    isRefused = false;
    auto& timer = context->getIoProvider().getTimer();
    setup =
        canceler.wrap(timer.afterDelay(delay)).then([this]() { return open().addBranch(); }).fork();
    delay = kj::min(2 * delay, options.maxReconnectDelay);
  }

  template <typename Get>
  capnp::Capability::Client whenConnected(Get get) {
    KJ_IF_MAYBE (ready, session) {
      return get(**ready);
    }
    return newResolvingClient(canceler.wrap(setup.addBranch().then(
        [this, get = kj::mv(get)]() mutable { return get(*KJ_ASSERT_NONNULL(session)); })));
  }

  kj::Own<RpcContext> context;
  Connect connect;
  kj::Canceler canceler;
  // Of what refers to this object: a capability that was asked for may outlive it.

  const RpcClientOptions options;
  kj::Duration delay;  // before the next attempt

  kj::String address;
  kj::Maybe<kj::Own<Session>> session;
  bool isRefused = false;  // the last attempt to connect has failed
  kj::ForkedPromise<void> setup;

  struct Self final: public kj::Refcounted {
    // For a capability that may outlive this object.
    explicit Self(Impl& impl): impl(impl) {}
    kj::Maybe<Impl&> impl;
  };
  kj::Own<Self> self = kj::refcounted<Self>(*this);
  kj::Maybe<capnp::Capability::Client> reconnecting;
};

RpcClient::RpcClient(kj::StringPtr serverAddress, uint defaultPort, capnp::ReaderOptions readerOpts,
                     RpcClientOptions options) {
  auto context = RpcContext::getThreadLocal();
  auto connector = kj::heap<Connector>(*context, serverAddress, defaultPort, readerOpts, options);
  impl = kj::heap<Impl>(
      kj::mv(context), [connector = kj::mv(connector)]() mutable { return connector->connect(); },
      options);
}

RpcClient::RpcClient(const struct sockaddr* serverAddress, uint addrSize,
                     capnp::ReaderOptions readerOpts) {
  auto context = RpcContext::getThreadLocal();
  context->pollWhileBusy();
  auto address = context->getIoProvider().getNetwork().getSockaddr(serverAddress, addrSize);
  impl = kj::heap<Impl>(kj::mv(context), [address = kj::mv(address), readerOpts]() mutable {
    return address->connect().then(
        [&address, readerOpts](kj::Own<kj::AsyncIoStream> stream) -> kj::Promise<Connected> {
          return newConnected(kj::mv(stream), address->toString(), readerOpts);
        },
        [&address](kj::Exception&& exception) -> kj::Promise<Connected> {
          return cannotConnect(address->toString(), exception);
        });
  });
}

RpcClient::RpcClient(int socketFd, capnp::ReaderOptions readerOpts) {
  auto context = RpcContext::getThreadLocal();
  context->pollWhileBusy();
  auto stream = context->getLowLevelIoProvider().wrapSocketFd(socketFd);
  auto connected = newConnected(kj::mv(stream), kj::str("socket ", socketFd), readerOpts);
  impl = kj::heap<Impl>(kj::mv(context),
                        [connected = kj::mv(connected)]() mutable -> kj::Promise<Connected> {
                          return kj::mv(connected);
                        });
}

RpcClient::~RpcClient() noexcept(false) {
  if (impl->context->isForked()) {
    auto& context = *impl->context;
    context.leaveToParent(kj::mv(impl));
  }
}

capnp::Capability::Client RpcClient::getMain() {
  impl->context->requireOwnProcess();
  return impl->getMain();
}

capnp::Capability::Client RpcClient::getNamed(kj::StringPtr name) {
  impl->context->requireOwnProcess();
  return impl->whenConnected(
      [name = kj::heapString(name)](Session& session) { return session.getNamed(name); });
}

capnp::Capability::Client RpcClient::importCap(kj::StringPtr name) {
  return getNamed(name);
}

kj::Promise<kj::String> RpcClient::getServerAddress() {
  impl->context->requireOwnProcess();
  return impl->canceler.wrap(
      impl->setup.addBranch().then([this]() { return kj::heapString(impl->address); }));
}

kj::WaitScope& RpcClient::getWaitScope() {
  impl->context->requireOwnProcess();
  return impl->context->getWaitScope();
}

kj::AsyncIoProvider& RpcClient::getIoProvider() {
  impl->context->requireOwnProcess();
  return impl->context->getIoProvider();
}

kj::LowLevelAsyncIoProvider& RpcClient::getLowLevelIoProvider() {
  impl->context->requireOwnProcess();
  return impl->context->getLowLevelIoProvider();
}

}  // namespace shoal
