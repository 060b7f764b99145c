#pragma once
// One connection of an RpcClient or RpcServer, over shared memory or over a stream.

#include "capnp/message.h"
#include "capnp/rpc-twoparty.h"
#include "kj/async-io.h"
#include "kj/memory.h"
#include "shoal/rpc/context.h"
#include "shoal/transport/channel.h"

namespace shoal {

struct Vat {
  // The two kinds differ in their network only; the RPC system on it is the same.

  kj::Own<capnp::TwoPartyVatNetworkBase> network;
  kj::Promise<void> disconnected;
};

bool isShmAddress(kj::StringPtr address);
// Whether `address` leads to shared memory, rather than to what kj::Network knows.

ChannelOptions forRpc(ChannelOptions options);
// The same options with what an event loop needs.

Vat newVat(RpcContext& context, kj::Own<Channel> channel, capnp::rpc::twoparty::Side side,
           capnp::ReaderOptions readerOptions);
Vat newVat(kj::Own<kj::AsyncIoStream> stream, capnp::rpc::twoparty::Side side,
           capnp::ReaderOptions readerOptions);

}  // namespace shoal
