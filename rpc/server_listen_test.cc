// Servers at addresses that are in use, or that a killed server has left.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
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

using testing::AllOf;
using testing::HasSubstr;

class NoErrors final: public kj::ExceptionCallback {
  // Prints nothing of what is logged as an error.

public:
  void logMessage(kj::LogSeverity severity, const char* file, int line, int contextDepth,
                  kj::String&& text) override {
    if (severity != kj::LogSeverity::ERROR) {
      next.logMessage(severity, file, line, contextDepth, kj::mv(text));
    }
  }
};

class OccupiedAddress: public testing::TestWithParam<std::string> {
protected:
  OccupiedAddress(): server(kj::heap<EchoServer>(), wanted.text().c_str()) {
    address = WhereReached(server, wanted.text());
  }
  ~OccupiedAddress() noexcept override {}

  const UniqueAddress wanted{GetParam()};
  RpcServer server;
  std::string address;
};

INSTANTIATE_TEST_SUITE_P(Over, OccupiedAddress, testing::Values("shm", "unix", "tcp"),
                         [](auto& info) { return info.param; });

TEST_P(OccupiedAddress, EndsAProgramThatOnlyWaits) {
  ChildProcess waiting({"tests/waiting_server", address});
  EXPECT_NE(waiting.Wait(), 0);
}

TEST_P(OccupiedAddress, EndsAProgramThatOnlyWaitsAtAHostName) {
  if (GetParam() == "tcp") {
    ChildProcess waiting({"tests/waiting_server", "localhost" + address.substr(address.find(':'))});
    EXPECT_NE(waiting.Wait(), 0);
  }
}

TEST_P(OccupiedAddress, IsHeardOfByAProgramThatAsks) {
  if (GetParam() != "shm") {  // where the constructor throws
    ChildProcess asking({"tests/waiting_server", address, "getPort"});
    EXPECT_EQ(asking.Wait(), 3);
  }
}

TEST_P(OccupiedAddress, IsNamedByTheError) {
  const NoErrors quiet;
  const kj::Exception failure = failureOf([&]() {
    RpcServer second(kj::heap<EchoServer>(), address.c_str());
    second.getPort().wait(second.getWaitScope());
  });
  EXPECT_THAT(textOf(failure), AllOf(HasSubstr(address), HasSubstr("already served")));
}

TEST_P(OccupiedAddress, FailsWhatAProgramWaitsForThatHasNotAsked) {
  if (GetParam() == "shm") {
    return;  // where the constructor throws
  }
  const NoErrors quiet;
  RpcServer second(kj::heap<EchoServer>(), address.c_str());
  const kj::Exception failure =
      failureOf([&]() { kj::Promise<void>(kj::NEVER_DONE).wait(second.getWaitScope()); });
  EXPECT_THAT(textOf(failure), HasSubstr("already served"));
  EXPECT_THAT(textOf(failureOf([&]() { second.getPort().wait(second.getWaitScope()); })),
              HasSubstr("already served"));
}

class KilledServer: public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Over, KilledServer, testing::Values("shm", "unix"),
                         [](auto& info) { return info.param; });

TEST_P(KilledServer, HasASuccessorAtItsAddress) {
  const UniqueAddress address(GetParam());
  for (int i = 0; i < 3; ++i) {
    ChildProcess process({"tests/waiting_server", address.text(), "getPort"});
    ASSERT_EQ(process.ReadLine(), "waiting");
    RpcClient client(address.text().c_str());
    client.getMain<test::Echo>().pingRequest().send().wait(client.getWaitScope());
    process.Kill();
  }
}

TEST(UnixServer, RemovesNoFileThatIsNoSocket) {
  const UniqueAddress address("unix");
  const std::string path = address.text().substr(strlen("unix:"));
  std::ofstream(path) << "mine";
  const NoErrors quiet;
  RpcServer server(kj::heap<EchoServer>(), address.text().c_str());
  EXPECT_THAT(textOf(failureOf([&]() { server.getPort().wait(server.getWaitScope()); })),
              HasSubstr("no socket"));
  std::string text;
  std::ifstream(path) >> text;
  EXPECT_EQ(text, "mine");
}

TEST(UnixServer, IsReachedAsSoonAsItIsThere) {
  const UniqueAddress address("unix");
  RpcServer server(kj::heap<EchoServer>(), address.text().c_str());
  RpcClient client(address.text().c_str());
  client.getMain<test::Echo>().pingRequest().send().wait(client.getWaitScope());
}

}  // namespace
}  // namespace shoal
