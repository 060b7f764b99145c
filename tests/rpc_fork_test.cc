// Processes with servers and clients that fork, as daemon() does: what they had stays the parent's.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/debug.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo_server.h"
#include "shoal/tests/where_reached.h"
#include "shoal/transport/test_process.h"

namespace shoal {
namespace {

using testing::HasSubstr;

uint64_t Ping(RpcClient& client, uint64_t value) {
  auto request = client.getMain<test::Echo>().pingRequest();
  request.setValue(value);
  return request.send().wait(client.getWaitScope()).getValue();
}

template <typename Call>
std::string FailureOf(Call call) {
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions(call)) {
    return exception->getDescription().cStr();
  }
  return "nothing failed";
}

// What is told to a child of this process.
auto SaysWhoseItIs(pid_t owner) {
  return testing::AllOf(HasSubstr("make it after fork() or daemon()"),
                        HasSubstr("owner = " + std::to_string(owner)));
}

class RpcFork : public testing::TestWithParam<std::string> {
 protected:
  RpcFork() = default;
  ~RpcFork() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  kj::Own<RpcServer> NewServer(const std::string& address) {
    RpcServerOptions options;
    options.upgrade = false;
    return kj::heap<RpcServer>(kj::heap<EchoServer>(), address.c_str(), 0u, capnp::ReaderOptions(),
                               options);
  }

  const UniqueAddress address_{GetParam()};
  kj::Own<RpcServer> server_ = NewServer(address_.text());
  const std::string reached_ = WhereReached(*server_, address_.text());
  kj::Own<RpcClient> client_ = kj::heap<RpcClient>(reached_.c_str());
};

INSTANTIATE_TEST_SUITE_P(Over, RpcFork, testing::Values("shm", "unix", "tcp"),
                         [](const auto& info) { return info.param; });

TEST_P(RpcFork, GivesTheChildAClearErrorForEverything) {
  ASSERT_EQ(Ping(*client_, 1), 1u);
  const auto says = SaysWhoseItIs(getpid());
  InAChild([&] {
    EXPECT_THAT(FailureOf([&] { server_->getWaitScope(); }), says);
    EXPECT_THAT(FailureOf([&] { server_->getIoProvider(); }), says);
    EXPECT_THAT(FailureOf([&] { server_->getLowLevelIoProvider(); }), says);
    EXPECT_THAT(FailureOf([&] { server_->getPort(); }), says);
    EXPECT_THAT(FailureOf([&] { server_->drain(); }), says);
    EXPECT_THAT(FailureOf([&] { server_->exportCap("echo", kj::heap<EchoServer>()); }), says);
    EXPECT_THAT(FailureOf([&] { client_->getWaitScope(); }), says);
    EXPECT_THAT(FailureOf([&] { client_->getMain(); }), says);
    EXPECT_THAT(FailureOf([&] { client_->getServerAddress(); }), says);
    EXPECT_THAT(FailureOf([&] { RpcClient another(reached_.c_str()); }), says);
  });
  EXPECT_EQ(Ping(*client_, 2), 2u);
}

TEST_P(RpcFork, LeavesTheParentsAloneWhenTheChildDestroysThem) {
  ASSERT_EQ(Ping(*client_, 1), 1u);
  InAChild([&] {
    client_ = nullptr;
    server_ = nullptr;
  });
  EXPECT_EQ(Ping(*client_, 2), 2u);
  RpcClient another(reached_.c_str());
  EXPECT_EQ(Ping(another, 3), 3u);
}

TEST_P(RpcFork, LetsTheChildHaveItsOwnInANewThread) {
  InAChild([&] {
    std::thread([&] {
      const UniqueAddress address(GetParam());
      auto server = NewServer(address.text());
      RpcClient client(WhereReached(*server, address.text()).c_str());
      EXPECT_EQ(Ping(client, 4), 4u);
    }).join();
  });
}

// A server in a process of its own that forks; this process becomes the child's parent.
struct ForkingServer {
  ForkingServer(const std::string& transport, const std::string& how, int threads)
      : address(transport) {
    EXPECT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    process.emplace(std::vector<std::string>{"tests/forking_process", address.text(), how,
                                             std::to_string(threads)});
    reached = process->ReadLine();
    child = std::stoi(process->ReadLine());
  }

  // How the child ends.
  int Wait() const {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  UniqueAddress address;
  std::optional<ChildProcess> process;
  std::string reached;
  pid_t child;
};

using Daemon = std::tuple<std::string, std::string, int>;
class RpcDaemon : public testing::TestWithParam<Daemon> {};

std::string NameOf(const testing::TestParamInfo<Daemon>& info) {
  const auto& [transport, how, threads] = info.param;
  return transport + "_" + how + "_" + std::to_string(threads);
}

INSTANTIATE_TEST_SUITE_P(Of, RpcDaemon,
                         testing::Combine(testing::Values("shm", "unix"),
                                          testing::Values("daemon", "return"),
                                          testing::Values(0, 2)),
                         NameOf);

TEST_P(RpcDaemon, IsToldToMakeItsServerAfterIt) {
  const auto& [transport, how, threads] = GetParam();
  ForkingServer server(transport, how, threads);
  EXPECT_THAT(server.process->ReadLine(), SaysWhoseItIs(server.process->pid()));
  EXPECT_EQ(server.Wait(), 7) << "through all destructors";
}

TEST(RpcDaemonThatWaitsOn, LetsNoClientHang) {
  for (const int threads : {0, 2}) {
    ForkingServer server("shm", "kept", threads);
    RpcClientOptions options;
    options.channel.connect_timeout = absl::Seconds(1);
    RpcClient client(server.reached.c_str(), 0, capnp::ReaderOptions(), options);
    EXPECT_THAT(FailureOf([&] { Ping(client, 1); }), testing::Not("nothing failed"));
    kill(server.child, SIGKILL);
    server.Wait();
  }
}

TEST(RpcDaemonWhoseParentStays, LeavesThatServing) {
  ForkingServer server("shm", "stay", 0);
  EXPECT_THAT(server.process->ReadLine(), SaysWhoseItIs(server.process->pid()));
  RpcClient client(server.reached.c_str());
  EXPECT_EQ(Ping(client, 1), 1u);
}

}  // namespace
}  // namespace shoal
