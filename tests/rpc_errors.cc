#include "shoal/tests/rpc_errors.h"

#include "kj/async-io.h"
#include "kj/exception.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo.capnp.h"

namespace shoal {
namespace {

template <typename Func>
absl::Status FailedPrecondition(Func func) {
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions(func)) {
    return absl::FailedPreconditionError(exception->getDescription().cStr());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status NullInterface() {
  const UniqueAddress address("shm");
  RpcServer server(nullptr, address.text().c_str());
  RpcClient client(address.text().c_str());
  auto call = client.getMain<test::Echo>().pingRequest();
  return FailedPrecondition([&] { call.send().wait(client.getWaitScope()); });
}

absl::Status AnotherEventLoop() {
  const kj::AsyncIoContext io = kj::setupAsyncIo();
  return FailedPrecondition([] { RpcClient client("shm:x"); });
}

}  // namespace shoal
