// What a client that reconnects takes for the loss of its connection.

#include "shoal/rpc/reconnecting.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/debug.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo_server.h"
#include "shoal/tests/where_reached.h"

namespace shoal {
namespace {

using testing::HasSubstr;

class Disconnecting final: public test::Echo::Server {
  // Has lost something of its own, as a server behind which another one is.

  kj::Promise<void> ping(PingContext context) override {
    if (context.getParams().getValue() == 0) {
      return KJ_EXCEPTION(DISCONNECTED, "the database is gone");
    }
    context.getResults().setValue(context.getParams().getValue());
    return kj::READY_NOW;
  }
  kj::Promise<void> never(NeverContext) override { return kj::NEVER_DONE; }
};

class ReconnectingClient: public testing::TestWithParam<std::string> {
protected:
  ReconnectingClient() { serve(); }
  ~ReconnectingClient() noexcept override {}

  void serve() {
    RpcServerOptions options;
    options.upgrade = false;
    server = kj::heap<RpcServer>(
        [this](const Peer&) -> capnp::Capability::Client {
          ++connections;
          return kj::heap<Disconnecting>();
        },
        connectTo.c_str(), 0u, capnp::ReaderOptions(), options);
    connectTo = WhereReached(*server, connectTo);
  }

  static RpcClientOptions reconnecting() {
    RpcClientOptions options;
    options.reconnect = true;
    options.reconnectDelay = 1 * kj::MILLISECONDS;
    return options;
  }

  uint64_t ping(test::Echo::Client echo, uint64_t value) {
    auto request = echo.pingRequest();
    request.setValue(value);
    return request.send().wait(server->getWaitScope()).getValue();
  }

  const UniqueAddress address{GetParam()};
  std::string connectTo = address.text();
  uint connections = 0;
  kj::Own<RpcServer> server;
};

INSTANTIATE_TEST_SUITE_P(Over, ReconnectingClient, testing::Values("shm", "unix", "tcp"),
                         [](auto& info) { return info.param; });

TEST_P(ReconnectingClient, KeepsItsConnectionWhenAMethodThrowsDisconnected) {
  RpcClient client(connectTo.c_str(), 0u, capnp::ReaderOptions(), reconnecting());
  auto echo = client.getMain<test::Echo>();
  auto pending = echo.neverRequest().send();
  for (uint64_t i = 1; i < 4; ++i) {
    EXPECT_THAT(textOf(failureOf([&]() { ping(echo, 0); })), HasSubstr("the database is gone"));
    EXPECT_EQ(ping(echo, i), i);
  }
  EXPECT_FALSE(pending.poll(client.getWaitScope()));
  EXPECT_EQ(connections, 1u);
}

TEST_P(ReconnectingClient, ConnectsAnewForTheNextCallAfterOneFailedByTheLoss) {
  RpcClient client(connectTo.c_str(), 0u, capnp::ReaderOptions(), reconnecting());
  auto echo = client.getMain<test::Echo>();
  EXPECT_EQ(ping(echo, 1), 1);
  auto pending = echo.neverRequest().send();
  EXPECT_FALSE(pending.poll(client.getWaitScope()));
  server = nullptr;
  serve();
  uint64_t value = 0;
  // In the very continuation that hears of the loss.
  pending
      .then([](auto&&) -> kj::Promise<void> { return kj::READY_NOW; },
            [&](kj::Exception&&) -> kj::Promise<void> {
              auto request = echo.pingRequest();
              request.setValue(5);
              return request.send().then([&](auto response) { value = response.getValue(); });
            })
      .wait(client.getWaitScope());
  EXPECT_EQ(value, 5u);
  EXPECT_EQ(connections, 2u);
}

}  // namespace
}  // namespace shoal
