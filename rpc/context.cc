#include "shoal/rpc/context.h"

#include <unistd.h>

#include <cstring>

#include "kj/debug.h"
#include "shoal/rpc/exception.h"

namespace shoal {
namespace {

thread_local RpcContext* threadContext = nullptr;

ForkMark newForkMark() {
  auto mark = ForkMark::Create();
  if (!mark.ok()) {
    kj::throwFatalException(SHOAL_EXCEPTION(mark.status()));
  }
  return *kj::mv(mark);
}

}  // namespace

kj::Own<RpcContext> RpcContext::getThreadLocal() {
  if (threadContext != nullptr) {
    threadContext->requireOwnProcess();
    return kj::addRef(*threadContext);
  }
  kj::Own<RpcContext> context;
  KJ_IF_MAYBE (failure,
               kj::runCatchingExceptions([&]() { context = kj::refcounted<RpcContext>(); })) {
    if (strstr(failure->getDescription().cStr(), "already has an EventLoop") != nullptr) {
      kj::throwFatalException(KJ_EXCEPTION(
          FAILED,
          "this thread already has an EventLoop of KJ's, as a capnp::EzRpcClient, "
          "capnp::EzRpcServer or kj::setupAsyncIo() makes, and a thread has at most one: use "
          "shoal::RpcClient and shoal::RpcServer for all that is in this thread, or one thread for "
          "each kind; or, in a loop of the program's own, shoal::VatNetwork or "
          "shoal::newNetwork()"));
    }
    kj::throwFatalException(kj::mv(*failure));
  }
  return context;
}

void RpcContext::pollWhileBusy() {
  // A call over a stream takes some ten turns of the loop.
  io.waitScope.setBusyPollInterval(1000);
}

RpcContext::RpcContext()
    : forkMark(newForkMark()), owner(getpid()), io(kj::setupAsyncIo()), poller(io.unixEventPort) {
  threadContext = this;
}

void RpcContext::requireOwnProcess() const {
  KJ_REQUIRE(!isForked(),
             "this process was forked from the one that made this RpcServer or RpcClient, which "
             "stays that one's: make it after fork() or daemon(), or in a new thread of this "
             "process",
             owner, getpid());
  KJ_REQUIRE(
      poller.isOnThread(),
      "an RpcServer or RpcClient belongs to the thread that made it, and was used in another "
      "one: make one in each thread");
}

RpcContext::~RpcContext() noexcept(false) {
  threadContext = nullptr;
}

}  // namespace shoal
