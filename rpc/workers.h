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
  // that made it, and must outlive the promises that it gives. The destructor waits for the
  // threads.

public:
  Workers(uint threads, capnp::ReaderOptions readerOptions, TraceEncoder traceEncoder,
          BootstrapFactory factory);
  // The functions are called in each thread, in several at once.

  ~Workers() noexcept(false);
  KJ_DISALLOW_COPY(Workers);

  kj::Promise<void> serve(kj::Own<Channel> channel);
  kj::Promise<void> serve(kj::AutoCloseFd socket, kj::StringPtr address);
  kj::Promise<void> drain();
  // As those of Sessions; resolves when it has been said to all threads.

private:
  class Worker;

  Worker& idlest();

  kj::Vector<kj::Own<Worker>> workers;
};

}  // namespace shoal
