#pragma once
// The event loop that the RpcServers and RpcClients of a thread share.

#include <sys/types.h>

#include "kj/async-io.h"
#include "kj/refcount.h"
#include "kj/vector.h"
#include "shoal/rpc/poller.h"
#include "shoal/transport/fork_mark.h"

namespace shoal {

class RpcContext final: public kj::Refcounted {
  // There is at most one KJ event loop in a thread, so all servers and clients of a thread are in
  // this one. It is gone with the last of them.

public:
  static kj::Own<RpcContext> getThreadLocal();
  // The thread's, made at the first call. Throws when the thread has a KJ event loop of the
  // program's own: use VatNetwork in that.

  bool isForked() const { return forkMark.forked(); }
  // True in a process that was forked from the one which made this. The two share what the event
  // loop waits with, so nothing of it may be used or destroyed here, or the parent's becomes deaf.

  void requireOwnProcess() const;
  // Throws there, and in another thread than the one that made this, and says what to do.

  template <typename T>
  void leaveToParent(kj::Own<T> object) {
    parents.add(kj::mv(object));
  }
  // Keeps what must not be destroyed here, until the process ends.

  RpcContext();
  ~RpcContext() noexcept(false);
  KJ_DISALLOW_COPY(RpcContext);

  kj::WaitScope& getWaitScope() { return io.waitScope; }
  kj::AsyncIoProvider& getIoProvider() { return *io.provider; }
  kj::LowLevelAsyncIoProvider& getLowLevelIoProvider() { return *io.lowLevelProvider; }
  kj::UnixEventPort& getPort() { return io.unixEventPort; }
  Poller& getPoller() { return poller; }

  void pollWhileBusy();
  // Has the loop look at timers, sockets and other threads now and then also while it has events to
  // run, as it has without end when a stream brings calls faster than they are served. (Poller does
  // that for channels.)

  void leaveBehind(kj::Own<void> thread) { leftBehind.add(kj::mv(thread)); }
  // Destroys `thread` when the event loop is gone, for which it may be waiting.

private:
  const ForkMark forkMark;
  const pid_t owner;
  kj::Vector<kj::Own<void>> leftBehind;
  kj::AsyncIoContext io;
  Poller poller;
  kj::Vector<kj::Own<void>> parents;  // each has a reference to this, which so is never destroyed
};

}  // namespace shoal
