// What a client's calls fail with, over each transport. docs/errors.md has these texts.

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo_server.h"
#include "shoal/tests/held_port.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class ClientErrors: public testing::TestWithParam<std::string> {
protected:
  ClientErrors() { options.channel.connect_timeout = absl::Milliseconds(10); }
  ~ClientErrors() noexcept override {}

  std::string inAddress() { return GetParam() == "tcp" ? port.address() : address.text(); }

  kj::Exception failureOfCall(RpcClient& client) {
    return failureOf(
        [&]() { client.getMain<test::Echo>().neverRequest().send().wait(client.getWaitScope()); });
  }

  const UniqueAddress address{GetParam()};
  const HeldPort port;
  RpcClientOptions options;
};

INSTANTIATE_TEST_SUITE_P(Over, ClientErrors, testing::Values("shm", "unix", "tcp"),
                         [](auto& info) { return info.param; });

TEST_P(ClientErrors, NameTheAddressAtWhichNobodyListens) {
  RpcClient client(inAddress().c_str(), 0u, capnp::ReaderOptions(), options);
  const kj::Exception failure = failureOfCall(client);
  const std::string quote = GetParam() == "tcp" ? "" : "\"";
  EXPECT_THAT(textOf(failure), StartsWith("nobody listens on " + quote + inAddress() + quote +
                                          " (yet): start its server"));
  EXPECT_EQ(failure.getType(), kj::Exception::Type::DISCONNECTED);
}

TEST_P(ClientErrors, NameTheServerThatHasEnded) {
  if (GetParam() == "shm") {
    return;  // where the server's own word for its end arrives
  }
  auto server = kj::heap<RpcServer>(kj::heap<EchoServer>(), inAddress().c_str());
  server->getPort().wait(server->getWaitScope());
  options.upgrade = false;
  RpcClient client(inAddress().c_str(), 0u, capnp::ReaderOptions(), options);
  auto call = client.getMain<test::Echo>().neverRequest().send();
  EXPECT_FALSE(call.poll(client.getWaitScope()));
  server = nullptr;
  const kj::Exception failure = failureOf([&]() { call.wait(client.getWaitScope()); });
  EXPECT_THAT(textOf(failure),
              AllOf(HasSubstr("the peer at " + inAddress()), HasSubstr("closed the channel")));
  EXPECT_EQ(failure.getType(), kj::Exception::Type::DISCONNECTED);
}

TEST_P(ClientErrors, NameTheServerThatWasKilled) {
  ChildProcess process({"tests/echo_process", inAddress(), "default"});
  const std::string reached = process.ReadLine();
  options.channel.connect_timeout = absl::Seconds(20);
  RpcClient client(reached.c_str(), 0u, capnp::ReaderOptions(), options);
  auto call = client.getMain<test::Echo>().neverRequest().send();
  client.getMain<test::Echo>().pingRequest().send().wait(client.getWaitScope());
  process.Kill();
  const kj::Exception failure = failureOf([&]() { call.wait(client.getWaitScope()); });
  EXPECT_THAT(textOf(failure), HasSubstr("the peer at " + reached));
  EXPECT_EQ(failure.getType(), kj::Exception::Type::DISCONNECTED);
}

TEST(UnknownHost, IsNamedByTheError) {
  RpcClient client("no-such-host.invalid:80");
  const kj::Exception failure = failureOf(
      [&]() { client.getMain<test::Echo>().pingRequest().send().wait(client.getWaitScope()); });
  EXPECT_THAT(textOf(failure), HasSubstr("no-such-host.invalid:80"));
}

}  // namespace
}  // namespace shoal
