#include "shoal/rpc/client.h"

#include "capnp/rpc.h"
#include "kj/debug.h"
#include "shoal/rpc/channels.h"
#include "shoal/rpc/context.h"
#include "shoal/rpc/vat.h"

namespace shoal {
namespace {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;

class Session {
  // A connection that is there.

public:
  explicit Session(Vat vatParam)
      : vat(kj::mv(vatParam)), rpcSystem(capnp::makeRpcClient(*vat.network)) {}
  KJ_DISALLOW_COPY(Session);

  capnp::Capability::Client getMain() {
    capnp::MallocMessageBuilder message(4);
    return rpcSystem.bootstrap(server(message));
  }

  capnp::Capability::Client getNamed(kj::StringPtr name) {
    capnp::MallocMessageBuilder message(4);
    capnp::MallocMessageBuilder objectId;
    objectId.getRoot<capnp::AnyPointer>().setAs<capnp::Text>(name);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    return rpcSystem.restore(server(message), objectId.getRoot<capnp::AnyPointer>());
#pragma GCC diagnostic pop
  }

private:
  static VatId::Reader server(capnp::MessageBuilder& message) {
    auto id = message.initRoot<VatId>();
    id.setSide(Side::SERVER);
    return id;
  }

  Vat vat;
  capnp::RpcSystem<VatId> rpcSystem;
};

}  // namespace

struct RpcClient::Impl {
  Impl(kj::Own<RpcContext> contextParam, kj::Promise<Vat> connecting)
      : context(kj::mv(contextParam)),
        setup(canceler
                  .wrap(connecting.then(
                      [this](Vat vat) { session = kj::heap<Session>(kj::mv(vat)); }))
                  .fork()) {}

  ~Impl() noexcept(false) { canceler.cancel(KJ_EXCEPTION(DISCONNECTED, "the RpcClient is gone")); }

  template <typename Get>
  capnp::Capability::Client whenConnected(Get get) {
    KJ_IF_MAYBE (ready, session) {
      return get(**ready);
    }
    return canceler.wrap(setup.addBranch().then(
        [this, get = kj::mv(get)]() mutable { return get(*KJ_ASSERT_NONNULL(session)); }));
  }

  kj::Own<RpcContext> context;
  kj::Canceler canceler;
  // Of what refers to this object: a capability that was asked for may outlive it.

  kj::Maybe<kj::Own<Session>> session;
  kj::ForkedPromise<void> setup;
};

namespace {

kj::Promise<Vat> connectStream(kj::Promise<kj::Own<kj::AsyncIoStream>> connecting,
                               capnp::ReaderOptions readerOpts) {
  return connecting.then([readerOpts](kj::Own<kj::AsyncIoStream> stream) {
    return newVat(kj::mv(stream), Side::CLIENT, readerOpts);
  });
}

kj::Promise<Vat> connect(RpcContext& context, kj::StringPtr address, uint defaultPort,
                         capnp::ReaderOptions readerOpts, const ChannelOptions& channelOpts) {
  if (isShmAddress(address)) {
    return connectChannel(context.getPort(), address, forRpc(channelOpts))
        .then([&context, readerOpts](kj::Own<Channel> channel) {
          return newVat(context, kj::mv(channel), Side::CLIENT, readerOpts);
        });
  }
  auto connecting = context.getIoProvider()
                        .getNetwork()
                        .parseAddress(address, defaultPort)
                        .then([](kj::Own<kj::NetworkAddress> parsed) {
                          auto promise = parsed->connect();
                          return promise.attach(kj::mv(parsed));
                        });
  return connectStream(kj::mv(connecting), readerOpts);
}

}  // namespace

RpcClient::RpcClient(kj::StringPtr serverAddress, uint defaultPort, capnp::ReaderOptions readerOpts,
                     ChannelOptions channelOpts) {
  auto context = RpcContext::getThreadLocal();
  auto connecting = connect(*context, serverAddress, defaultPort, readerOpts, channelOpts);
  impl = kj::heap<Impl>(kj::mv(context), kj::mv(connecting));
}

RpcClient::RpcClient(const struct sockaddr* serverAddress, uint addrSize,
                     capnp::ReaderOptions readerOpts) {
  auto context = RpcContext::getThreadLocal();
  auto address = context->getIoProvider().getNetwork().getSockaddr(serverAddress, addrSize);
  auto connecting = address->connect();
  impl = kj::heap<Impl>(kj::mv(context),
                        connectStream(connecting.attach(kj::mv(address)), readerOpts));
}

RpcClient::RpcClient(int socketFd, capnp::ReaderOptions readerOpts) {
  auto context = RpcContext::getThreadLocal();
  auto stream = context->getLowLevelIoProvider().wrapSocketFd(socketFd);
  impl = kj::heap<Impl>(kj::mv(context), newVat(kj::mv(stream), Side::CLIENT, readerOpts));
}

RpcClient::~RpcClient() noexcept(false) {}

capnp::Capability::Client RpcClient::getMain() {
  return impl->whenConnected([](Session& session) { return session.getMain(); });
}

capnp::Capability::Client RpcClient::getNamed(kj::StringPtr name) {
  return impl->whenConnected(
      [name = kj::heapString(name)](Session& session) { return session.getNamed(name); });
}

capnp::Capability::Client RpcClient::importCap(kj::StringPtr name) {
  return getNamed(name);
}

kj::WaitScope& RpcClient::getWaitScope() {
  return impl->context->getWaitScope();
}

kj::AsyncIoProvider& RpcClient::getIoProvider() {
  return impl->context->getIoProvider();
}

kj::LowLevelAsyncIoProvider& RpcClient::getLowLevelIoProvider() {
  return impl->context->getLowLevelIoProvider();
}

}  // namespace shoal
