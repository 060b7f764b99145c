#include "shoal/rpc/vat.h"

#include "shoal/rpc/vat_network.h"

namespace shoal {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;

bool isShmAddress(kj::StringPtr address) {
  return address.startsWith("shm:");
}

ChannelOptions forRpc(ChannelOptions options) {
  options.when_full = WhenFull::kSpill;
  if (options.protocol.empty()) {
    options.protocol = "capnp-rpc";
  }
  return options;
}

Vat newVat(Poller& poller, kj::Own<Channel> channel, Side side,
           capnp::ReaderOptions readerOptions) {
  auto network = kj::heap<VatNetwork>(poller, kj::mv(channel), side, readerOptions);
  auto disconnected = network->onDisconnect();
  return {kj::mv(network), kj::mv(disconnected)};
}

Vat newVat(kj::Own<kj::AsyncIoStream> stream, Side side, capnp::ReaderOptions readerOptions) {
  auto network = kj::heap<capnp::TwoPartyVatNetwork>(*stream, side, readerOptions);
  auto disconnected = network->onDisconnect();
  return {network.attach(kj::mv(stream)), kj::mv(disconnected)};
}

capnp::Capability::Client bootstrapServer(capnp::RpcSystem<VatId>& rpcSystem) {
  capnp::MallocMessageBuilder message(4);
  auto server = message.initRoot<VatId>();
  server.setSide(Side::SERVER);
  return rpcSystem.bootstrap(server);
}

}  // namespace shoal
