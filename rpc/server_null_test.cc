// Servers that give a client nothing.

#include <atomic>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo_server.h"
#include "shoal/tests/where_reached.h"

namespace shoal {
namespace {

using testing::HasSubstr;

struct Case {
  std::string transport;
  uint threads;
};

class ServerOfNothing: public testing::TestWithParam<Case> {
protected:
  ServerOfNothing() { options.threads = GetParam().threads; }
  ~ServerOfNothing() noexcept override {}

  void serve(BootstrapFactory factory) {
    server = kj::heap<RpcServer>(kj::mv(factory), address.text().c_str(), 0u,
                                 capnp::ReaderOptions(), options);
    connectTo = WhereReached(*server, address.text());
  }

  kj::Promise<uint64_t> ping(RpcClient& client) {
    auto request = client.getMain<test::Echo>().pingRequest();
    request.setValue(7);
    return request.send().then([](auto response) { return response.getValue(); });
  }

  const UniqueAddress address{GetParam().transport};
  RpcServerOptions options;
  kj::Own<RpcServer> server;
  std::string connectTo;
};

INSTANTIATE_TEST_SUITE_P(Over, ServerOfNothing,
                         testing::Values(Case{"shm", 0}, Case{"unix", 0}, Case{"tcp", 0},
                                         Case{"shm", 1}, Case{"unix", 1}),
                         [](auto& info) {
                           return info.param.transport + std::to_string(info.param.threads);
                         });

TEST_P(ServerOfNothing, FailsTheCallsOfAClientWhoseFactoryGaveNull) {
  serve([](const Peer&) -> capnp::Capability::Client { return nullptr; });
  RpcClient client(connectTo.c_str());
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(textOf(failureOf([&]() { ping(client).wait(client.getWaitScope()); })),
                HasSubstr("nothing for its client at"));
  }
}

TEST_P(ServerOfNothing, ServesTheNextClientThatItDoesNotRefuse) {
  auto refuse = std::make_shared<std::atomic<bool>>(true);
  serve([refuse](const Peer&) -> capnp::Capability::Client {
    if (*refuse) {
      return nullptr;
    }
    return kj::heap<EchoServer>();
  });
  RpcClient refused(connectTo.c_str());
  failureOf([&]() { ping(refused).wait(refused.getWaitScope()); });
  *refuse = false;
  RpcClient client(connectTo.c_str());
  EXPECT_EQ(ping(client).wait(client.getWaitScope()), 7);
}

TEST_P(ServerOfNothing, FailsCallsOnAPromiseOfNothing) {
  serve([](const Peer&) -> capnp::Capability::Client {
    return kj::evalLater([]() -> capnp::Capability::Client { return nullptr; });
  });
  RpcClient client(connectTo.c_str());
  failureOf([&]() { ping(client).wait(client.getWaitScope()); });
}

TEST(NullInterface, OfAServerFailsCalls) {
  const UniqueAddress address("shm");
  RpcServer server(nullptr, address.text().c_str());
  RpcClient client(address.text().c_str());
  const auto failure = failureOf(
      [&]() { client.getMain<test::Echo>().pingRequest().send().wait(client.getWaitScope()); });
  EXPECT_THAT(textOf(failure), HasSubstr("nothing for its client at"));
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

TEST(NullInterface, ThatIsExportedFailsCalls) {
  const UniqueAddress address("shm");
  RpcServer server(nullptr, address.text().c_str());
  server.exportCap("nothing", nullptr);
  server.exportCap("echo", kj::heap<EchoServer>());
  RpcClient client(address.text().c_str());
  failureOf([&]() {
    client.importCap<test::Echo>("nothing").pingRequest().send().wait(client.getWaitScope());
  });
  client.importCap<test::Echo>("echo").pingRequest().send().wait(client.getWaitScope());
}

#pragma GCC diagnostic pop

}  // namespace
}  // namespace shoal
