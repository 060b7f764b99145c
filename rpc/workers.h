#pragma once
// The threads that serve the connections of an RpcServer.

#include "capnp/message.h"
#include "kj/async.h"
#include "kj/io.h"
#include "kj/string.h"
#include "kj/vector.h"
#include "shoal/rpc/sessions.h"
#include "shoal/transport/channel.h"

namespace shoal {

class Workers {
  // Each connection goes to the thread that has the fewest, and stays there. Belongs to the thread
  // of `context`, and must outlive the promises that it gives; dropping those does not cut a client
  // off.
  //
  // The destructor cuts all clients off and waits for the threads, but not for one that waits for
  // this thread itself, as kj::Executor::executeSync() does: that one is left behind, in `context`,
  // whose end has such a call fail.

public:
  Workers(RpcContext& context, uint threads, capnp::ReaderOptions readerOptions,
          TraceEncoder traceEncoder, BootstrapFactory factory);
  // The functions are called in each thread, in several at once.

  ~Workers() noexcept(false);
  KJ_DISALLOW_COPY(Workers);

  kj::Promise<void> serve(kj::Own<Channel> channel);
  kj::Promise<void> serve(kj::AutoCloseFd socket, kj::StringPtr address);
  kj::Promise<void> drain();
  // As those of Sessions.

private:
  class Worker;

  Worker& idlest();

  RpcContext& context;
  kj::Vector<kj::Own<Worker>> workers;
};

}  // namespace shoal
