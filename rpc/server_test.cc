#include "shoal/rpc/server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/debug.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/rpc/client.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo_server.h"

namespace shoal {
namespace {

using testing::HasSubstr;

sockaddr_in anyPortOfThisMachine() {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

uint64_t ping(test::Echo::Client echo, uint64_t value, kj::WaitScope& waitScope) {
  auto request = echo.pingRequest();
  request.setValue(value);
  return request.send().wait(waitScope).getValue();
}

uint64_t ping(RpcClient& client, uint64_t value) {
  return ping(client.getMain<test::Echo>(), value, client.getWaitScope());
}

uint64_t pingAt(const std::string& address, uint64_t value) {
  RpcClientOptions options;
  options.upgrade = false;  // what is tested over TCP shall go over TCP
  RpcClient client(address.c_str(), 0, capnp::ReaderOptions(), options);
  return ping(client, value);
}

std::string atPort(uint port) {
  return "127.0.0.1:" + std::to_string(port);
}

class SilentErrors final: public kj::ExceptionCallback {
  // Counts what is logged as an error, in place of printing it.

public:
  void logMessage(kj::LogSeverity severity, const char* file, int line, int contextDepth,
                  kj::String&& text) override {
    if (severity == kj::LogSeverity::ERROR) {
      ++errors;
      return;
    }
    next.logMessage(severity, file, line, contextDepth, kj::mv(text));
  }

  uint errors = 0;
};

TEST(RpcServer, ListensAtAnShmNameAsSoonAsItIsThere) {
  UniqueAddress address("shm");
  RpcServer server(kj::heap<EchoServer>(), address.text().c_str());
  EXPECT_EQ(pingAt(address.text(), 1), 1);
}

TEST(RpcServer, HasNoPortAtAnShmName) {
  UniqueAddress address("shm");
  RpcServer server(kj::heap<EchoServer>(), address.text().c_str());
  EXPECT_EQ(server.getPort().wait(server.getWaitScope()), 0);
}

TEST(RpcServer, ListensAtAUnixSocket) {
  UniqueAddress address("unix");
  RpcServer server(kj::heap<EchoServer>(), address.text().c_str());
  EXPECT_EQ(server.getPort().wait(server.getWaitScope()), 0);
  EXPECT_EQ(pingAt(address.text(), 1), 1);
}

TEST(RpcServer, SaysWhichPortTcpHasChosen) {
  RpcServer server(kj::heap<EchoServer>(), "127.0.0.1", 0);
  const uint port = server.getPort().wait(server.getWaitScope());
  EXPECT_GT(port, 0);
  EXPECT_EQ(pingAt(atPort(port), 1), 1);
  EXPECT_EQ(server.getPort().wait(server.getWaitScope()), port);
}

TEST(RpcServer, ListensAtAnAddressThatIsResolvedAlready) {
  sockaddr_in address = anyPortOfThisMachine();
  RpcServer server(kj::heap<EchoServer>(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  EXPECT_EQ(pingAt(atPort(server.getPort().wait(server.getWaitScope())), 1), 1);
}

TEST(RpcServer, UsesASocketThatListensAlreadyAndLeavesItToBeClosed) {
  kj::AutoCloseFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = anyPortOfThisMachine();
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(socket, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(socket, 10), 0);
  ASSERT_EQ(getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size), 0);
  {
    RpcServer server(kj::heap<EchoServer>(), socket.get(), 4711);
    EXPECT_EQ(server.getPort().wait(server.getWaitScope()), 4711);
    EXPECT_EQ(pingAt(atPort(ntohs(address.sin_port)), 1), 1);
  }
  EXPECT_GE(fcntl(socket, F_GETFD), 0);
}

TEST(RpcServer, ServesOneCapabilityAtSeveralAddresses) {
  UniqueAddress shm("shm");
  UniqueAddress unixSocket("unix");
  test::Echo::Client echo = kj::heap<EchoServer>();
  RpcServer first(echo, shm.text().c_str());
  RpcServer second(echo, unixSocket.text().c_str());
  second.getPort().wait(second.getWaitScope());
  EXPECT_EQ(pingAt(shm.text(), 1), 1);
  EXPECT_EQ(pingAt(unixSocket.text(), 2), 2);
}

TEST(RpcServer, ServesSeveralClientsOfItsOwnThreadAtOnce) {
  UniqueAddress address("shm");
  RpcServer server(kj::heap<EchoServer>(), address.text().c_str());
  std::vector<std::unique_ptr<RpcClient>> clients;
  std::vector<capnp::RemotePromise<test::Echo::PingResults>> calls;
  for (uint64_t i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RpcClient>(address.text().c_str(), 0, capnp::ReaderOptions(),
                                                  smallestOptions()));
    auto request = clients.back()->getMain<test::Echo>().pingRequest();
    request.setValue(i);
    calls.push_back(request.send());
  }
  for (uint64_t i = 0; i < 20; ++i) {
    EXPECT_EQ(calls[i].wait(server.getWaitScope()).getValue(), i);
  }
}

TEST(RpcServer, ServesAClientOfAnotherThread) {
  UniqueAddress address("shm");
  RpcServer server(kj::heap<EchoServer>(), address.text().c_str());
  auto answered = kj::newPromiseAndCrossThreadFulfiller<uint64_t>();
  std::thread client([&]() { answered.fulfiller->fulfill(pingAt(address.text(), 1)); });
  EXPECT_EQ(answered.promise.wait(server.getWaitScope()), 1);
  client.join();
}

TEST(RpcServer, FreesItsNameWhenItIsGone) {
  UniqueAddress address("shm");
  { RpcServer first(kj::heap<EchoServer>(), address.text().c_str()); }
  RpcServer second(kj::heap<EchoServer>(), address.text().c_str());
  EXPECT_EQ(pingAt(address.text(), 1), 1);
}

TEST(RpcServer, DoesNotStartAtAnShmNameThatIsInUse) {
  UniqueAddress address("shm");
  RpcServer first(kj::heap<EchoServer>(), address.text().c_str());
  const kj::Exception failure =
      failureOf([&]() { RpcServer(kj::heap<EchoServer>(), address.text().c_str()); });
  EXPECT_THAT(textOf(failure), HasSubstr(address.text()));
  EXPECT_EQ(pingAt(address.text(), 1), 1);
}

TEST(RpcServer, TellsWhyAnShmAddressIsNotAllowed) {
  EXPECT_THAT(textOf(failureOf([&]() { RpcServer(kj::heap<EchoServer>(), "shm:"); })),
              HasSubstr("shm:"));
}

TEST(RpcServer, TellsWhichOptionIsNotAllowed) {
  ChannelOptions options;
  options.slots = 7;
  EXPECT_THAT(textOf(failureOf([&]() {
                RpcServer(kj::heap<EchoServer>(), "shm:any", 0, capnp::ReaderOptions(), options);
              })),
              HasSubstr("ChannelOptions::slots is 7"));
}

TEST(RpcServer, ThatCannotListenRejectsItsPortAndGoesOn) {
  SilentErrors log;
  RpcServer first(kj::heap<EchoServer>(), "127.0.0.1", 0);
  const uint port = first.getPort().wait(first.getWaitScope());
  RpcServer second(kj::heap<EchoServer>(), "unix:/nonexistent/folder/socket");
  failureOf([&]() { second.getPort().wait(second.getWaitScope()); });
  failureOf([&]() { second.getPort().wait(second.getWaitScope()); });
  EXPECT_EQ(log.errors, 1);
  EXPECT_EQ(pingAt(atPort(port), 1), 1);
}

TEST(RpcServer, GoesOnWhenAClientSendsWhatIsNoMessage) {
  RpcServer server(kj::heap<EchoServer>(), "127.0.0.1", 0);
  const uint port = server.getPort().wait(server.getWaitScope());
  auto stream = server.getIoProvider()
                    .getNetwork()
                    .parseAddress("127.0.0.1", port)
                    .wait(server.getWaitScope())
                    ->connect()
                    .wait(server.getWaitScope());
  stream->write("GET / HTTP/1.1\r\n\r\n", 18).wait(server.getWaitScope());
  stream->shutdownWrite();
  EXPECT_EQ(pingAt(atPort(port), 1), 1);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

TEST(RpcServer, WithoutAMainInterfaceServesWhatItExports) {
  UniqueAddress shm("shm");
  RpcServer server(shm.text().c_str());
  server.exportCap("echo", kj::heap<EchoServer>());
  RpcClient client(shm.text().c_str());
  EXPECT_EQ(ping(client.importCap<test::Echo>("echo"), 1, client.getWaitScope()), 1);
  failureOf([&]() { ping(client, 2); });
}

TEST(RpcServer, WithoutAMainInterfaceListensAtResolvedAddressesAndSocketsToo) {
  sockaddr_in address = anyPortOfThisMachine();
  RpcServer resolved(reinterpret_cast<sockaddr*>(&address), sizeof(address));
  resolved.exportCap("echo", kj::heap<EchoServer>());
  RpcClient client(atPort(resolved.getPort().wait(resolved.getWaitScope())).c_str());
  EXPECT_EQ(ping(client.importCap<test::Echo>("echo"), 1, client.getWaitScope()), 1);

  kj::AutoCloseFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(listen(socket, 10), 0);
  RpcServer listening(socket.get(), 4711);
  EXPECT_EQ(listening.getPort().wait(listening.getWaitScope()), 4711);
}

TEST(RpcServer, ExportsTheLatestCapabilityOfAName) {
  class Doubling final: public test::Echo::Server {
    kj::Promise<void> ping(PingContext context) override {
      context.getResults().setValue(2 * context.getParams().getValue());
      return kj::READY_NOW;
    }
  };
  UniqueAddress shm("shm");
  RpcServer server(kj::heap<EchoServer>(), shm.text().c_str());
  server.exportCap("echo", kj::heap<EchoServer>());
  server.exportCap("echo", kj::heap<Doubling>());
  server.exportCap("other", kj::heap<EchoServer>());
  RpcClient client(shm.text().c_str());
  EXPECT_EQ(ping(client.importCap<test::Echo>("echo"), 4, client.getWaitScope()), 8);
  EXPECT_EQ(ping(client.importCap<test::Echo>("other"), 4, client.getWaitScope()), 4);
  EXPECT_EQ(ping(client, 4), 4);
}

#pragma GCC diagnostic pop

}  // namespace
}  // namespace shoal
