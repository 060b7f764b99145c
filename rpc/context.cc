#include "shoal/rpc/context.h"

#include <unistd.h>

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
  return kj::refcounted<RpcContext>();
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
