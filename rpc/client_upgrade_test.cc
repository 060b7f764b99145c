// Clients of a TCP port that find shared memory there, and those that do not.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/rpc/channels.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/context.h"
#include "shoal/rpc/server.h"
#include "shoal/rpc/vat.h"
#include "shoal/tests/echo_server.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/stats.h"

namespace shoal {
namespace {

using testing::StartsWith;

class ClientUpgrade: public testing::Test {
protected:
  ClientUpgrade() = default;
  ~ClientUpgrade() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  uint serve(kj::StringPtr address, RpcServerOptions options = {}) {
    server =
        kj::heap<RpcServer>(kj::heap<EchoServer>(), address, 0u, capnp::ReaderOptions(), options);
    return server->getPort().wait(server->getWaitScope());
  }

  std::string reachedAt(kj::StringPtr address, RpcClientOptions options = {}) {
    // Where a client that is told `address` finds a server that answers it.
    RpcClient client(address, 0u, capnp::ReaderOptions(), options);
    auto request = client.getMain<test::Echo>().pingRequest();
    request.setValue(5);
    EXPECT_EQ(request.send().wait(client.getWaitScope()).getValue(), 5);
    return client.getServerAddress().wait(client.getWaitScope()).cStr();
  }

  kj::Own<RpcServer> server;
};

RpcClientOptions withoutUpgrade() {
  RpcClientOptions options;
  options.upgrade = false;
  return options;
}

uint tcpSocketsTo(uint port) {
  // How many of this process's are connected to a port.
  uint count = 0;
  for (const auto& entry: std::filesystem::directory_iterator("/proc/self/fd")) {
    sockaddr_in peer = {};
    socklen_t length = sizeof(peer);
    const int fd = std::stoi(entry.path().filename());
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0 &&
        peer.sin_family == AF_INET && ntohs(peer.sin_port) == port) {
      ++count;
    }
  }
  return count;
}

TEST_F(ClientUpgrade, TakesTheSharedMemoryOfALoopbackPort) {
  const uint port = serve("127.0.0.1");
  EXPECT_EQ(reachedAt(kj::str("127.0.0.1:", port)), kj::str("shm:tcp/127.0.0.1:", port).cStr());
}

TEST_F(ClientUpgrade, FindsItAtAnyAddressThatTheServerListensAt) {
  const uint port = serve("*");
  for (const kj::StringPtr host: {"127.0.0.1", "127.0.0.9", "[::1]"}) {
    EXPECT_THAT(reachedAt(kj::str(host, ":", port)), StartsWith("shm:tcp/")) << host.cStr();
  }
}

TEST_F(ClientUpgrade, StaysWithTcpWhenTheServerOffersNothing) {
  RpcServerOptions options;
  options.upgrade = false;
  const uint port = serve("127.0.0.1", options);
  EXPECT_EQ(reachedAt(kj::str("127.0.0.1:", port)), kj::str("127.0.0.1:", port).cStr());
}

TEST_F(ClientUpgrade, StaysWithTcpWhenItIsToldTo) {
  const uint port = serve("127.0.0.1");
  EXPECT_EQ(reachedAt(kj::str("127.0.0.1:", port), withoutUpgrade()),
            kj::str("127.0.0.1:", port).cStr());
}

TEST_F(ClientUpgrade, TakesTheServerOfItsAddressAndNotThatOfAnotherWithThePort) {
  const uint port = serve("127.0.0.1");
  auto first = kj::mv(server);
  serve(kj::str("127.0.0.2:", port));
  EXPECT_EQ(reachedAt(kj::str("127.0.0.2:", port)), kj::str("shm:tcp/127.0.0.2:", port).cStr());
  EXPECT_EQ(reachedAt(kj::str("127.0.0.1:", port)), kj::str("shm:tcp/127.0.0.1:", port).cStr());
}

TEST_F(ClientUpgrade, TakesTheSharedMemoryOfAServerWithThreads) {
  RpcServerOptions options;
  options.threads = 2;
  server = kj::heap<RpcServer>(
      [](const Peer&) -> capnp::Capability::Client { return kj::heap<EchoServer>(); }, "127.0.0.1",
      0u, capnp::ReaderOptions(), options);
  const uint port = server->getPort().wait(server->getWaitScope());
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(reachedAt(kj::str("127.0.0.1:", port)), kj::str("shm:tcp/127.0.0.1:", port).cStr());
  }
}

TEST_F(ClientUpgrade, IsRefusedToAClientOfAConnectionThatTheServerHasNot) {
  const uint port = serve("127.0.0.1");
  const auto offer = kj::str("shm:tcp/127.0.0.1:", port);
  auto context = RpcContext::getThreadLocal();
  const kj::Exception failure = failureOf([&]() {
    tryConnectChannel(context->getPort(), offer, forRpc({}), "192.0.2.1:4711 to 192.0.2.2:80")
        .wait(context->getWaitScope());
  });
  EXPECT_THAT(textOf(failure), testing::HasSubstr("192.0.2.1:4711 to 192.0.2.2:80"));
}

TEST_F(ClientUpgrade, LeavesNoTcpConnectionBehind) {
  const uint port = serve("127.0.0.1");
  RpcClient client(kj::str("127.0.0.1:", port));
  auto echo = client.getMain<test::Echo>();
  echo.pingRequest().send().wait(client.getWaitScope());
  EXPECT_EQ(tcpSocketsTo(port), 0u);
}

TEST_F(ClientUpgrade, FallsBackToTcpWhenTheOfferSpeaksSomethingElse) {
  RpcServerOptions options;
  options.upgrade = false;
  const uint port = serve("127.0.0.1", options);
  auto listener = Listen(kj::str("shm:tcp/127.0.0.1:", port).cStr());
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::thread refusing([&]() {
    EXPECT_TRUE(absl::IsDeadlineExceeded((*listener)->Accept(absl::Seconds(1)).status()));
  });
  EXPECT_EQ(reachedAt(kj::str("127.0.0.1:", port)), kj::str("127.0.0.1:", port).cStr());
  refusing.join();
}

TEST_F(ClientUpgrade, FallsBackToTcpWhenTheOfferDoesNotAnswer) {
  RpcServerOptions options;
  options.upgrade = false;
  const uint port = serve("127.0.0.1", options);
  auto silent = Listen(kj::str("shm:tcp/127.0.0.1:", port).cStr());
  RpcClientOptions impatient;
  impatient.channel.connect_timeout = absl::Milliseconds(50);
  EXPECT_EQ(reachedAt(kj::str("127.0.0.1:", port), impatient), kj::str("127.0.0.1:", port).cStr());
}

uint64_t copiedWords() {
  // By all channels of this process.
  uint64_t words = 0;
  const auto channels = ObserveChannels(getpid());
  EXPECT_TRUE(channels.ok()) << channels.status();
  for (const ObservedChannel& channel: *channels) {
    words += channel.stats.words_copied_in;
  }
  return words;
}

uint64_t copiedInACall(uint port, RpcClientOptions options) {
  RpcClient client(kj::str("127.0.0.1:", port), 0u, capnp::ReaderOptions(), options);
  auto request = client.getMain<test::Echo>().sumRequest();
  request.initData(80'000);
  request.send().wait(client.getWaitScope());
  return copiedWords();
}

TEST_F(ClientUpgrade, ReadsFromACopyAsTcpDoesUnlessItIsToldTo) {
  RpcServerOptions trusting;
  trusting.upgradeTrust = Trust::kPeer;
  const uint inPlace = serve("127.0.0.1", trusting);
  EXPECT_EQ(copiedInACall(inPlace, {}), 0);
  const uint copying = serve("127.0.0.1");
  EXPECT_GE(copiedInACall(copying, {}), 10'000);
}

TEST_F(ClientUpgrade, IsOfferedNoMoreWhenTheServerIsGone) {
  const uint port = serve("127.0.0.1");
  server = nullptr;
  EXPECT_EQ(failureOf([&]() { reachedAt(kj::str("127.0.0.1:", port)); }).getType(),
            kj::Exception::Type::DISCONNECTED);
}

}  // namespace
}  // namespace shoal
