#include "shoal/tests/echo_server.h"

#include <unistd.h>

#include <cstring>
#include <numeric>

#include "kj/debug.h"

namespace shoal {

kj::Promise<void> EchoServer::ping(PingContext context) {
  context.getResults().setValue(context.getParams().getValue());
  return kj::READY_NOW;
}

kj::Promise<void> EchoServer::fill(FillContext context) {
  auto params = context.getParams();
  auto data = context.getResults().initData(params.getBytes());
  memset(data.begin(), params.getValue(), data.size());
  return kj::READY_NOW;
}

kj::Promise<void> EchoServer::sum(SumContext context) {
  auto data = context.getParams().getData();
  context.getResults().setTotal(std::accumulate(data.begin(), data.end(), uint64_t{0}));
  return kj::READY_NOW;
}

kj::Promise<void> EchoServer::never(NeverContext) { return kj::NEVER_DONE; }

kj::Promise<void> EchoServer::child(ChildContext context) {
  context.getResults().setChild(kj::heap<EchoServer>());
  return kj::READY_NOW;
}

kj::Promise<void> EchoServer::callBack(CallBackContext context) {
  auto request = context.getParams().getTarget().pingRequest();
  request.setValue(context.getParams().getValue());
  return request.send().then(
      [context](auto response) mutable { context.getResults().setValue(response.getValue()); });
}

kj::Promise<void> EchoServer::exit(ExitContext) { _exit(0); }

kj::Promise<void> EchoServer::fork(ForkContext context) {
  pid_t child;
  KJ_SYSCALL(child = ::fork());
  if (child == 0) {
    while (true) {
      pause();
    }
  }
  context.getResults().setPid(child);
  return kj::READY_NOW;
}

}  // namespace shoal
