#include "shoal/rpc/client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo_server.h"
#include "shoal/tests/held_port.h"
#include "shoal/tests/where_reached.h"

namespace shoal {
namespace {

using testing::HasSubstr;

uint64_t ping(test::Echo::Client echo, uint64_t value, kj::WaitScope& waitScope) {
  auto request = echo.pingRequest();
  request.setValue(value);
  return request.send().wait(waitScope).getValue();
}

uint64_t ping(RpcClient& client, uint64_t value) {
  return ping(client.getMain<test::Echo>(), value, client.getWaitScope());
}

RpcServerOptions withoutUpgrade() {
  // What is tested over TCP shall go over TCP.
  RpcServerOptions options;
  options.upgrade = false;
  return options;
}

struct TcpServer {
  RpcServer server{kj::heap<EchoServer>(), "127.0.0.1:0", 0, capnp::ReaderOptions(),
                   withoutUpgrade()};
  uint port = server.getPort().wait(server.getWaitScope());
  std::string address = "127.0.0.1:" + std::to_string(port);
};

class ClientOfEachTransport: public testing::TestWithParam<std::string> {
protected:
  ClientOfEachTransport()
      : wanted(GetParam()),
        server(kj::heap<EchoServer>(), wanted.text().c_str(), 0, capnp::ReaderOptions(),
               withoutUpgrade()) {
    address = WhereReached(server, wanted.text());
  }
  ~ClientOfEachTransport() noexcept override {
  }  // KJ's destructors may throw, GoogleTest's must not

  UniqueAddress wanted;
  RpcServer server;
  std::string address;
};

TEST_P(ClientOfEachTransport, CallsTheMainInterface) {
  RpcClient client(address.c_str());
  EXPECT_EQ(ping(client, 1), 1);
  EXPECT_EQ(ping(client, 2), 2);
}

TEST_P(ClientOfEachTransport, GivesTheMainInterfaceWithoutItsTypeToo) {
  RpcClient client(address.c_str());
  capnp::Capability::Client main = client.getMain();
  EXPECT_EQ(ping(main.castAs<test::Echo>(), 1, client.getWaitScope()), 1);
}

TEST_P(ClientOfEachTransport, IsOneOfManyInAThread) {
  RpcClient first(address.c_str());
  RpcClient second(address.c_str());
  auto firstCall = first.getMain<test::Echo>().pingRequest().send();
  auto secondCall = second.getMain<test::Echo>().pingRequest().send();
  secondCall.wait(first.getWaitScope());
  firstCall.wait(second.getWaitScope());
}

TEST_P(ClientOfEachTransport, TakesTheReaderOptionsForWhatItReceives) {
  RpcClient client(address.c_str(), 0, {.traversalLimitInWords = 1000, .nestingLimit = 64});
  auto request = client.getMain<test::Echo>().fillRequest();
  request.setBytes(10'000);
  EXPECT_THAT(textOf(failureOf([&]() {
                auto response = request.send().wait(client.getWaitScope());
                response.getData();
              })),
              testing::ContainsRegex("[lL]imit|too large"));
}

TEST_P(ClientOfEachTransport, OfAServerThatIsGoneFailsAsDisconnected) {
  UniqueAddress other(GetParam());
  auto shortLived = std::make_unique<RpcServer>(kj::heap<EchoServer>(), other.text().c_str());
  RpcClient client(WhereReached(*shortLived, other.text()).c_str());
  ping(client, 1);
  shortLived.reset();
  EXPECT_EQ(failureOf([&]() { ping(client, 2); }).getType(), kj::Exception::Type::DISCONNECTED);
}

TEST_P(ClientOfEachTransport, CanBeDroppedBeforeItIsConnected) {
  { RpcClient client(address.c_str()); }
  RpcClient client(address.c_str());
  EXPECT_EQ(ping(client, 1), 1);
}

TEST_P(ClientOfEachTransport, CanBeDroppedBeforeACapabilityThatItGave) {
  // The server keeps the thread's event loop alive.
  auto client = std::make_unique<RpcClient>(address.c_str());
  auto echo = client->getMain<test::Echo>();
  client.reset();
  failureOf([&]() { ping(echo, 1, server.getWaitScope()); });
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

TEST_P(ClientOfEachTransport, ImportsWhatTheServerExports) {
  server.exportCap("echo", kj::heap<EchoServer>());
  RpcClient client(address.c_str());
  EXPECT_EQ(ping(client.importCap<test::Echo>("echo"), 1, client.getWaitScope()), 1);
  EXPECT_EQ(ping(client.importCap("echo").castAs<test::Echo>(), 2, client.getWaitScope()), 2);
}

TEST_P(ClientOfEachTransport, IsToldTheNameThatTheServerDoesNotExport) {
  RpcClient client(address.c_str());
  auto unknown = client.importCap<test::Echo>("nothing");
  EXPECT_THAT(textOf(failureOf([&]() { ping(unknown, 1, client.getWaitScope()); })),
              HasSubstr("nothing"));
  EXPECT_EQ(ping(client, 1), 1);
}

#pragma GCC diagnostic pop

INSTANTIATE_TEST_SUITE_P(Transports, ClientOfEachTransport, testing::Values("shm", "unix", "tcp"),
                         [](const auto& info) { return info.param; });

bool isInSharedMemory(const void* address) {
  std::ifstream maps("/proc/self/maps");
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    sscanf(line.c_str(), "%lx-%lx", &begin, &end);
    if (begin <= wanted && wanted < end) {
      return line.find("memfd:") != std::string::npos;
    }
  }
  return false;
}

TEST(RpcClient, HasCallsBuiltInSharedMemoryOnAnInterfaceThatItGaveBeforeItWasConnected) {
  UniqueAddress address("shm");
  RpcServer server(kj::heap<EchoServer>(), address.text().c_str());
  RpcClient client(address.text().c_str());
  auto echo = client.getMain<test::Echo>();
  EXPECT_FALSE(isInSharedMemory(echo.sumRequest().initData(1 << 20).begin()));
  ping(echo, 1, client.getWaitScope());
  EXPECT_TRUE(isInSharedMemory(echo.sumRequest().initData(1 << 20).begin()));
}

TEST(RpcClient, TakesADefaultPort) {
  TcpServer server;
  RpcClient client("127.0.0.1", server.port);
  EXPECT_EQ(ping(client, 1), 1);
}

TEST(RpcClient, ConnectsToAnAddressThatIsResolvedAlready) {
  UniqueAddress address("unix");
  RpcServer server(kj::heap<EchoServer>(), address.text().c_str());
  server.getPort().wait(server.getWaitScope());
  sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = {}};
  address.text().copy(to.sun_path, sizeof(to.sun_path) - 1, sizeof("unix:") - 1);
  RpcClient client(reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  EXPECT_EQ(ping(client, 1), 1);
}

TEST(RpcClient, UsesASocketThatIsConnectedAlreadyAndLeavesItToBeClosed) {
  UniqueAddress address("unix");
  RpcServer server(kj::heap<EchoServer>(), address.text().c_str());
  server.getPort().wait(server.getWaitScope());
  sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = {}};
  address.text().copy(to.sun_path, sizeof(to.sun_path) - 1, sizeof("unix:") - 1);
  kj::AutoCloseFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  {
    RpcClient client(socket.get());
    EXPECT_EQ(ping(client, 1), 1);
  }
  EXPECT_GE(fcntl(socket, F_GETFD), 0);
}

TEST(RpcClient, TellsWhyAnShmAddressIsNotAllowed) {
  RpcClient client("shm:");
  EXPECT_THAT(textOf(failureOf([&]() { ping(client, 1); })), HasSubstr("shm:"));
}

TEST(RpcClient, TellsWhichOptionIsNotAllowed) {
  ChannelOptions options;
  options.loans = 7;
  RpcClient client("shm:any", 0, capnp::ReaderOptions(), options);
  EXPECT_THAT(textOf(failureOf([&]() { ping(client, 1); })),
              HasSubstr("ChannelOptions::loans is 7"));
}

TEST(RpcClient, FailsWhenNobodyListensAtAPort) {
  const HeldPort held;
  RpcClient client("127.0.0.1", held.port());
  failureOf([&]() { ping(client, 1); });
}

TEST(RpcClient, HasTheThreadsEventLoopForOtherIo) {
  UniqueAddress address("shm");
  RpcServer server(kj::heap<EchoServer>(), address.text().c_str());
  RpcClient client(address.text().c_str());
  auto pipe = client.getIoProvider().newOneWayPipe();
  kj::byte buffer[1];
  auto read = pipe.in->read(buffer, 1);
  auto written = pipe.out->write("x", 1);
  EXPECT_EQ(ping(client, 1), 1);
  read.wait(client.getWaitScope());
  EXPECT_EQ(&client.getLowLevelIoProvider(), &server.getLowLevelIoProvider());
}

}  // namespace
}  // namespace shoal
