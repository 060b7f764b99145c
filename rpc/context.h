#pragma once
// The event loop that the RpcServers and RpcClients of a thread share.

#include "kj/async-io.h"
#include "kj/refcount.h"
#include "shoal/rpc/poller.h"

namespace shoal {

class RpcContext final: public kj::Refcounted {
  // There is at most one KJ event loop in a thread, so all servers and clients of a thread are in
  // this one. It is gone with the last of them.

public:
  static kj::Own<RpcContext> getThreadLocal();
  // The thread's, made at the first call. Throws when the thread has a KJ event loop of the
  // program's own: use VatNetwork in that.

  RpcContext();
  ~RpcContext() noexcept(false);
  KJ_DISALLOW_COPY(RpcContext);

  kj::WaitScope& getWaitScope() { return io.waitScope; }
  kj::AsyncIoProvider& getIoProvider() { return *io.provider; }
  kj::LowLevelAsyncIoProvider& getLowLevelIoProvider() { return *io.lowLevelProvider; }
  kj::UnixEventPort& getPort() { return io.unixEventPort; }
  Poller& getPoller() { return poller; }

private:
  kj::AsyncIoContext io;
  Poller poller;
};

}  // namespace shoal
