#include "gateway.h"

#include "capnp/rpc.h"
#include "kj/debug.h"

namespace gateway {
namespace {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;

struct Passage {
  // A client and its connection to the server.

  Passage(shoal::Vat clientParam, shoal::Vat serverParam)
      : server(kj::mv(serverParam)),
        serverSystem(capnp::makeRpcClient(*server.network)),
        client(kj::mv(clientParam)),
        clientSystem(capnp::makeRpcServer(*client.network, shoal::bootstrapServer(serverSystem))) {}

  kj::Promise<void> whenEnded() {
    return client.disconnected.exclusiveJoin(kj::mv(server.disconnected));
  }

 private:
  shoal::Vat server;
  capnp::RpcSystem<VatId> serverSystem;
  shoal::Vat client;
  capnp::RpcSystem<VatId> clientSystem;
};

bool isTcp(kj::StringPtr address) {
  return !shoal::isShmAddress(address) && !address.startsWith("unix:");
}

}  // namespace

Gateway::Gateway(kj::AsyncIoContext& io, kj::String listenAtParam, kj::String connectToParam,
                 TlsFiles tls)
    : io(io),
      listenAt(kj::mv(listenAtParam)),
      connectTo(kj::mv(connectToParam)),
      poller(io.unixEventPort),
      serverNetwork(&io.provider->getNetwork(), kj::NullDisposer::instance),
      failed(nullptr),
      tasks(*this) {
  if (tls.isWanted()) {
    KJ_REQUIRE(isTcp(listenAt) || isTcp(connectTo), "TLS is for TCP, and neither end is", listenAt,
               connectTo);
    if (isTcp(listenAt)) {
      serverTls = newServerTls(tls);
    }
    if (isTcp(connectTo)) {
      serverNetwork = clientTls.emplace(newClientTls(tls))->wrapNetwork(*serverNetwork);
    }
  }
  auto paf = kj::newPromiseAndFulfiller<void>();
  failed = paf.promise.fork();
  failing = kj::mv(paf.fulfiller);
}

kj::Promise<kj::String> Gateway::listen() {
  if (!shoal::isShmAddress(listenAt)) {
    return listenToStreams();
  }
  return kj::evalNow([this]() {
    channels = kj::heap<shoal::ChannelReceiver>(io.unixEventPort, listenAt, shoal::forRpc({}));
    tasks.add(channels->listen([this](kj::Own<shoal::Channel> channel) {
      serve(shoal::newVat(poller, kj::mv(channel), Side::SERVER));
    }));
    return kj::str(listenAt);
  });
}

kj::Promise<kj::String> Gateway::listenToStreams() {
  return io.provider->getNetwork().parseAddress(listenAt).then(
      [this](kj::Own<kj::NetworkAddress> address) {
        auto receiver = address->listen();
        const uint port = receiver->getPort();
        KJ_IF_MAYBE (tls, serverTls) {
          receiver = (*tls)->wrapPort(kj::mv(receiver));
        }
        tasks.add(accept(kj::mv(receiver)));
        const size_t host = listenAt.findLast(':').orDefault(listenAt.size());
        return port == 0 ? kj::str(listenAt) : kj::str(listenAt.slice(0, host), ":", port);
      });
}

kj::Promise<void> Gateway::accept(kj::Own<kj::ConnectionReceiver> receiver) {
  auto accepting = receiver->accept();
  return accepting.then(
      [this, receiver = kj::mv(receiver)](kj::Own<kj::AsyncIoStream> stream) mutable {
        serve(shoal::newVat(kj::mv(stream), Side::SERVER));
        return accept(kj::mv(receiver));
      });
}

void Gateway::serve(shoal::Vat client) {
  tasks.add(connect()
                .then([client = kj::mv(client)](shoal::Vat server) mutable {
                  auto passage = kj::heap<Passage>(kj::mv(client), kj::mv(server));
                  auto ended = passage->whenEnded();
                  return ended.attach(kj::mv(passage));
                })
                .catch_([](kj::Exception&& exception) {
                  KJ_LOG(WARNING, "a client cannot be served", exception);
                }));
}

kj::Promise<shoal::Vat> Gateway::connect() {
  if (shoal::isShmAddress(connectTo)) {
    return shoal::connectChannel(io.unixEventPort, connectTo, shoal::forRpc({}))
        .then([this](kj::Own<shoal::Channel> channel) {
          return shoal::newVat(poller, kj::mv(channel), Side::CLIENT);
        });
  }
  return serverNetwork->parseAddress(connectTo)
      .then([](kj::Own<kj::NetworkAddress> address) {
        auto connecting = address->connect();
        return connecting.attach(kj::mv(address));
      })
      .then([](kj::Own<kj::AsyncIoStream> stream) {
        return shoal::newVat(kj::mv(stream), Side::CLIENT);
      });
}

void Gateway::taskFailed(kj::Exception&& exception) { failing->reject(kj::mv(exception)); }

}  // namespace gateway
