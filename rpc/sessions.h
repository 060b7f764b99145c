#pragma once
// The connections that one thread of an RpcServer serves.

#include <functional>
#include <set>

#include "capnp/capability.h"
#include "capnp/message.h"
#include "kj/async-io.h"
#include "kj/async.h"
#include "kj/function.h"
#include "shoal/rpc/context.h"
#include "shoal/rpc/options.h"
#include "shoal/transport/channel.h"

namespace shoal {

using BootstrapFactory = std::function<capnp::Capability::Client(const Peer& client)>;
// Gives each client its main interface. It sees the process and user id of a client over shared
// memory or a Unix socket, which the kernel vouches for; over TCP there is none, and the user id is
// kNoUid. A client for which it throws, or gives null, has its calls fail, and says why.

class Sessions {
  // Belongs to the thread of its context, and must outlive the promises that it gives.

public:
  using Restore = kj::Function<capnp::Capability::Client(const Peer& client,
                                                         capnp::AnyPointer::Reader objectId)>;

  Sessions(RpcContext& context, capnp::ReaderOptions readerOptions, TraceEncoder traceEncoder,
           Restore restore);
  KJ_DISALLOW_COPY(Sessions);

  kj::Promise<void> serve(kj::Own<Channel> channel);
  kj::Promise<void> serve(kj::Own<kj::AsyncIoStream> stream, kj::StringPtr address);
  // Serves a client until it leaves, which resolves the promise. Dropping it cuts the client off.

  void drain();
  // From now on, a client's connection ends as soon as all that it has called is answered.

private:
  struct Session;

  kj::Promise<void> serve(kj::Own<Session> session);

  RpcContext& context;
  const capnp::ReaderOptions readerOptions;
  const TraceEncoder traceEncoder;
  Restore restore;
  std::set<Session*> live;
  bool draining = false;
};

}  // namespace shoal
