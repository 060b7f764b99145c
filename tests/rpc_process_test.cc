// The lives and deaths of RPC's processes. How calls behave is in tests/rpc.

#include <signal.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/exception.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo.capnp.h"
#include "shoal/tests/echo_options.h"
#include "shoal/tests/echo_server.h"

namespace shoal {
namespace {

using testing::HasSubstr;

constexpr char kEchoProcess[] = "tests/echo_process";

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string DescriptionOf(const kj::Exception& exception) {
  return exception.getDescription().cStr();
}

// An Echo server in another process, and how to reach it.
struct ServerProcess {
  explicit ServerProcess(const UniqueAddress& wanted, const std::string& size = "default")
      : process({kEchoProcess, wanted.text(), size}), address(process.ReadLine()) {}

  ChildProcess process;
  std::string address;
};

struct Case {
  std::string transport;
  std::string size = "default";
};

class RpcProcess : public testing::TestWithParam<Case> {
 protected:
  RpcProcess()
      : address(GetParam().transport),
        server(address, GetParam().size),
        client(server.address.c_str(), 0, capnp::ReaderOptions(), EchoOptions(GetParam().size)),
        echo(client.getMain<test::Echo>()) {}
  ~RpcProcess() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  uint64_t Ping(uint64_t value) {
    auto request = echo.pingRequest();
    request.setValue(value);
    return request.send().wait(client.getWaitScope()).getValue();
  }

  UniqueAddress address;
  ServerProcess server;
  RpcClient client;
  test::Echo::Client echo;
};

TEST_P(RpcProcess, FailsEveryPendingCallAsDisconnectedWhenTheServerIsKilled) {
  Ping(1);
  std::vector<kj::Promise<void>> calls;
  for (int i = 0; i < 10; ++i) {
    calls.push_back(echo.neverRequest().send().ignoreResult());
  }
  Ping(2);
  server.process.Kill();
  for (auto& call : calls) {
    const kj::Maybe<kj::Exception> failure =
        kj::runCatchingExceptions([&] { call.wait(client.getWaitScope()); });
    KJ_IF_MAYBE (exception, failure) {
      EXPECT_EQ(exception->getType(), kj::Exception::Type::DISCONNECTED)
          << DescriptionOf(*exception);
    } else {
      ADD_FAILURE() << "a call to a dead server returned";
    }
  }
}

TEST_P(RpcProcess, DeliversTheFailureOfACallDuringWhichTheServerEnded) {
  const kj::Maybe<kj::Exception> failure =
      kj::runCatchingExceptions([&] { echo.exitRequest().send().wait(client.getWaitScope()); });
  ASSERT_TRUE(failure != nullptr);
  EXPECT_EQ(KJ_ASSERT_NONNULL(failure).getType(), kj::Exception::Type::DISCONNECTED);
}

TEST_P(RpcProcess, KeepsAResponseReadableAfterTheConnectionIsGone) {
  auto request = echo.fillRequest();
  request.setBytes(1 << 16);
  request.setValue(5);
  auto response = request.send().wait(client.getWaitScope());
  server.process.Kill();
  kj::runCatchingExceptions([&] { Ping(2); });
  const auto data = response.getData();
  EXPECT_EQ(std::count(data.begin(), data.end(), 5), 1 << 16);
}

INSTANTIATE_TEST_SUITE_P(Transports, RpcProcess,
                         testing::Values(Case{"shm"}, Case{"shm", "smallest"}, Case{"unix"},
                                         Case{"tcp"}),
                         [](const auto& info) {
                           return info.param.transport +
                                  (info.param.size == "default" ? "" : "_" + info.param.size);
                         });

TEST(ShmProcess, NamesTheDeadServerAndItsPid) {
  UniqueAddress address("shm");
  ServerProcess server(address);
  RpcClient client(server.address.c_str());
  auto call = client.getMain<test::Echo>().neverRequest().send();
  client.getMain<test::Echo>().pingRequest().send().wait(client.getWaitScope());
  const pid_t pid = server.process.pid();
  server.process.Kill();
  const kj::Maybe<kj::Exception> failure =
      kj::runCatchingExceptions([&] { call.wait(client.getWaitScope()); });
  ASSERT_TRUE(failure != nullptr);
  EXPECT_THAT(DescriptionOf(KJ_ASSERT_NONNULL(failure)),
              testing::AllOf(HasSubstr(server.address), HasSubstr(std::to_string(pid))));
}

TEST(ShmProcess, FailsCallsToADeadServerWhoseChildKeepsTheSocket) {
  UniqueAddress address("shm");
  ServerProcess server(address);
  RpcClient client(server.address.c_str());
  auto echo = client.getMain<test::Echo>();
  auto call = echo.neverRequest().send();
  const pid_t child = echo.forkRequest().send().wait(client.getWaitScope()).getPid();
  server.process.Kill();
  const kj::Maybe<kj::Exception> failure =
      kj::runCatchingExceptions([&] { call.wait(client.getWaitScope()); });
  EXPECT_EQ(kill(child, SIGKILL), 0) << "the child should have outlived the call";
  ASSERT_TRUE(failure != nullptr);
  EXPECT_EQ(KJ_ASSERT_NONNULL(failure).getType(), kj::Exception::Type::DISCONNECTED);
}

TEST(ShmProcess, AClientThatStartsBeforeItsServerWaitsForIt) {
  UniqueAddress address("shm");
  RpcClient client(address.text().c_str());
  auto request = client.getMain<test::Echo>().pingRequest();
  request.setValue(3);
  auto call = request.send();
  ASSERT_FALSE(call.poll(client.getWaitScope()));  // it has looked, and nobody was there
  ServerProcess server(address);
  EXPECT_EQ(call.wait(client.getWaitScope()).getValue(), 3);
}

TEST(ShmProcess, AClientWhoseServerNeverComesIsTold) {
  UniqueAddress address("shm");
  ChannelOptions options;
  options.connect_timeout = absl::Milliseconds(20);
  RpcClient client(address.text().c_str(), 0, capnp::ReaderOptions(), options);
  const kj::Maybe<kj::Exception> failure = kj::runCatchingExceptions(
      [&] { client.getMain<test::Echo>().pingRequest().send().wait(client.getWaitScope()); });
  ASSERT_TRUE(failure != nullptr);
  EXPECT_EQ(KJ_ASSERT_NONNULL(failure).getType(), kj::Exception::Type::DISCONNECTED);
  EXPECT_THAT(DescriptionOf(KJ_ASSERT_NONNULL(failure)), HasSubstr(address.text()));
}

TEST(ShmProcess, ASecondServerOnALiveNameIsRefusedAndTheFirstGoesOn) {
  UniqueAddress address("shm");
  ServerProcess server(address);
  const kj::Maybe<kj::Exception> failure = kj::runCatchingExceptions(
      [&] { RpcServer second(kj::heap<EchoServer>(), server.address.c_str()); });
  ASSERT_TRUE(failure != nullptr);
  EXPECT_THAT(
      DescriptionOf(KJ_ASSERT_NONNULL(failure)),
      testing::AllOf(HasSubstr(server.address), HasSubstr(std::to_string(server.process.pid()))));
  RpcClient client(address.text().c_str());
  auto request = client.getMain<test::Echo>().pingRequest();
  request.setValue(9);
  EXPECT_EQ(request.send().wait(client.getWaitScope()).getValue(), 9);
}

TEST(ShmProcess, ANameIsFreeAgainOnceItsServerWasKilled) {
  UniqueAddress address("shm");
  { ServerProcess(address).process.Kill(); }
  ServerProcess second(address);
  RpcClient client(address.text().c_str());
  auto request = client.getMain<test::Echo>().pingRequest();
  request.setValue(9);
  EXPECT_EQ(request.send().wait(client.getWaitScope()).getValue(), 9);
}

TEST(ShmProcess, AServerOutlivesClientsThatAreKilled) {
  UniqueAddress address("shm");
  ServerProcess server(address);
  for (int i = 0; i < 5; ++i) {
    ChildProcess victim({"tests/echo_client_process", address.text()});
    ASSERT_EQ(victim.ReadLine(), "calling");
    victim.Kill();
  }
  RpcClient client(address.text().c_str());
  auto request = client.getMain<test::Echo>().pingRequest();
  request.setValue(9);
  EXPECT_EQ(request.send().wait(client.getWaitScope()).getValue(), 9);
}

TEST(ShmProcess, NothingIsLeftOfAServerAndItsClientThatWereKilled) {
  UniqueAddress address("shm");
  const std::string name = address.text().substr(sizeof("shm:") - 1);
  {
    ServerProcess server(address);
    ChildProcess client({"tests/echo_client_process", address.text()});
    ASSERT_EQ(client.ReadLine(), "calling");
    ASSERT_THAT(ReadFile("/proc/net/unix"), HasSubstr(name));
    server.process.Signal(SIGKILL);
    client.Signal(SIGKILL);
  }
  EXPECT_THAT(ReadFile("/proc/net/unix"), testing::Not(HasSubstr(name)));
}

}  // namespace
}  // namespace shoal
