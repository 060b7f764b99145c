#include "shoal/rpc/vat.h"

#include "shoal/rpc/draining_stream.h"
#include "shoal/rpc/vat_network.h"

namespace shoal {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;

bool isShmAddress(kj::StringPtr address) {
  return address.startsWith("shm:");
}

ChannelOptions forRpc(ChannelOptions options, capnp::ReaderOptions readerOptions) {
  options.when_full = WhenFull::kSpill;
  options.reader = readerOptions;
  if (options.protocol.empty()) {
    options.protocol = "capnp-rpc";
  }
  return options;
}

Vat newVat(Poller& poller, kj::Own<Channel> channel, Side side,
           capnp::ReaderOptions readerOptions) {
  auto network = kj::heap<VatNetwork>(poller, kj::mv(channel), side, readerOptions);
  network->failAtEnd();
  auto disconnected = network->onDisconnect();
  auto drain = [&network = *network]() { network.drain(); };
  auto isLost = [&network = *network]() { return network.isShutDown(); };
  return {kj::mv(network), kj::mv(disconnected), kj::mv(drain), kj::mv(isLost)};
}

Vat newVat(kj::Own<kj::AsyncIoStream> stream, Side side, capnp::ReaderOptions readerOptions,
           kj::Maybe<Peer> peer) {
  auto messages = kj::heap<DrainingStream>(kj::mv(stream), kj::mv(peer));
  auto drain = [&messages = *messages]() { messages.drain(); };
  auto isLost = [&messages = *messages]() { return messages.hasEnded(); };
  auto network = kj::heap<capnp::TwoPartyVatNetwork>(*messages, side, readerOptions);
  auto disconnected = network->onDisconnect();
  return {network.attach(kj::mv(messages)), kj::mv(disconnected), kj::mv(drain), kj::mv(isLost)};
}

capnp::Capability::Client bootstrapServer(capnp::RpcSystem<VatId>& rpcSystem) {
  capnp::MallocMessageBuilder message(4);
  auto server = message.initRoot<VatId>();
  server.setSide(Side::SERVER);
  return rpcSystem.bootstrap(server);
}

}  // namespace shoal
