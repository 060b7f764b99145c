#pragma once
// The implementation of Echo, for servers in the test's process and in others.

#include "shoal/tests/echo.capnp.h"

namespace shoal {

class EchoServer final : public test::Echo::Server {
 protected:
  kj::Promise<void> ping(PingContext context) override;
  kj::Promise<void> fill(FillContext context) override;
  kj::Promise<void> sum(SumContext context) override;
  kj::Promise<void> never(NeverContext context) override;
  kj::Promise<void> child(ChildContext context) override;
  kj::Promise<void> callBack(CallBackContext context) override;
  kj::Promise<void> exit(ExitContext context) override;
  kj::Promise<void> fork(ForkContext context) override;
};

}  // namespace shoal
