#include "shoal/rpc/context.h"

namespace shoal {
namespace {

thread_local RpcContext* threadContext = nullptr;

}  // namespace

kj::Own<RpcContext> RpcContext::getThreadLocal() {
  if (threadContext != nullptr) {
    return kj::addRef(*threadContext);
  }
  return kj::refcounted<RpcContext>();
}

RpcContext::RpcContext(): io(kj::setupAsyncIo()), poller(io.unixEventPort) {
  threadContext = this;
}

RpcContext::~RpcContext() noexcept(false) {
  threadContext = nullptr;
}

}  // namespace shoal
