// Processes that end in the middle of calls, each way there is but a kill.

#include <signal.h>

#include <atomic>
#include <string>
#include <thread>
#include <tuple>

#include "gtest/gtest.h"
#include "kj/exception.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo_server.h"
#include "shoal/tests/where_reached.h"

namespace shoal {
namespace {

constexpr char kEndingProcess[] = "tests/ending_process";
constexpr int kStatus = 7;

uint64_t Ping(test::Echo::Client echo, uint64_t value, kj::WaitScope& wait_scope) {
  auto request = echo.pingRequest();
  request.setValue(value);
  return request.send().wait(wait_scope).getValue();
}

bool IsDisconnect(const kj::Maybe<kj::Exception>& failure) {
  KJ_IF_MAYBE (exception, failure) {
    return exception->getType() == kj::Exception::Type::DISCONNECTED;
  }
  return false;
}

class EndingServer
    : public testing::TestWithParam<std::tuple<const char*, const char*, const char*>> {};

TEST_P(EndingServer, EndsAndItsClientsKnow) {
  const auto& [transport, role, how] = GetParam();
  const UniqueAddress address(transport);
  ChildProcess process({kEndingProcess, role, address.text(), how});
  RpcClient client(process.ReadLine().c_str());
  auto echo = client.getMain<test::Echo>();
  auto pending = echo.neverRequest().send();
  EXPECT_EQ(Ping(echo, 5, client.getWaitScope()), 5u);
  process.Signal(SIGTERM);
  EXPECT_TRUE(
      IsDisconnect(kj::runCatchingExceptions([&] { pending.wait(client.getWaitScope()); })));
  EXPECT_EQ(process.Wait(), kStatus);
}

INSTANTIATE_TEST_SUITE_P(Each, EndingServer,
                         testing::Combine(testing::Values("shm", "unix", "tcp"),
                                          testing::Values("server", "threads"),
                                          testing::Values("return", "exit", "_exit", "drain")));

class EndingClient : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(EndingClient, EndsAndTheServerServesOn) {
  const auto& [transport, how] = GetParam();
  const UniqueAddress address(transport);
  RpcServerOptions options;
  options.upgrade = false;
  RpcServer server(kj::heap<EchoServer>(), address.text().c_str(), 0, capnp::ReaderOptions(),
                   options);
  const std::string connect_to = WhereReached(server, address.text());
  RpcClient other(connect_to.c_str());
  auto echo = other.getMain<test::Echo>();
  ChildProcess process({kEndingProcess, "client", connect_to, how});
  std::atomic<bool> ended = false;
  std::jthread waiting([&] {
    EXPECT_EQ(process.Wait(), kStatus);
    ended = true;
  });
  // This thread is the server's too.
  while (!ended) {
    ASSERT_EQ(Ping(echo, 5, other.getWaitScope()), 5u);
  }
  EXPECT_EQ(Ping(echo, 6, other.getWaitScope()), 6u);
}

INSTANTIATE_TEST_SUITE_P(Each, EndingClient,
                         testing::Combine(testing::Values("shm", "unix", "tcp"),
                                          testing::Values("return", "exit", "_exit")));

}  // namespace
}  // namespace shoal
