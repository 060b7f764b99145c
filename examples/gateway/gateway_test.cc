// Gateways between real processes: what passes through one, through two, and through TLS.

#include <stdlib.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/rpc/client.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo_server.h"
#include "shoal/tests/scratch_folder.h"

namespace shoal {
namespace {

constexpr char GATEWAY[] = "examples/gateway/gateway";

class Running {
  // A process that prints the address that it listens at.

 public:
  explicit Running(const std::vector<std::string>& command)
      : process(std::make_unique<ChildProcess>(command)), address(process->ReadLine()) {}

  std::unique_ptr<ChildProcess> process;
  std::string address;
};

Running newGateway(const std::string& listenAt, const std::string& connectTo,
                   std::vector<std::string> flags = {}) {
  flags.insert(flags.begin(), {GATEWAY, "--listen=" + listenAt, "--connect=" + connectTo});
  return Running(flags);
}

class Certificates {
  // An authority, and a certificate from it for "server" and for "client". The server is known by
  // its number, as a bare machine does not know the name "localhost".

 public:
  Certificates() {
    run("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority"
        " -keyout authority.key -out authority.pem");
    for (const std::string name : {"server", "client"}) {
      run("openssl req -newkey rsa:2048 -nodes -subj /CN=" + name + " -keyout " + name +
          ".key -out " + name + ".csr");
      const std::string names = name == "server" ? "DNS:127.0.0.1,IP:127.0.0.1" : "DNS:" + name;
      run("printf subjectAltName=" + names + " > " + name + ".ext");
      run("openssl x509 -req -days 2 -in " + name + ".csr -CA authority.pem -CAkey authority.key" +
          " -CAcreateserial -extfile " + name + ".ext -out " + name + ".pem");
    }
  }

  std::vector<std::string> flagsOf(const std::string& name) const {
    return {"--tls_certificate=" + folder.path() + "/" + name + ".pem",
            "--tls_key=" + folder.path() + "/" + name + ".key", authority()};
  }
  std::string authority() const { return "--tls_authority=" + folder.path() + "/authority.pem"; }

 private:
  void run(const std::string& command) {
    ASSERT_EQ(system(("cd " + folder.path() + " && " + command + " 2>/dev/null").c_str()), 0)
        << command;
  }

  const ScratchFolder folder;
};

void expectEverythingPasses(const std::string& address) {
  RpcClient client(address.c_str());
  auto& waitScope = client.getWaitScope();
  auto echo = client.getMain<test::Echo>();

  auto ping = echo.pingRequest();
  ping.setValue(1);
  EXPECT_EQ(ping.send().wait(waitScope).getValue(), 1);

  auto pipelined = echo.childRequest().send().getChild().pingRequest();
  pipelined.setValue(2);
  EXPECT_EQ(pipelined.send().wait(waitScope).getValue(), 2);

  auto callBack = echo.callBackRequest();
  callBack.setTarget(kj::heap<EchoServer>());
  callBack.setValue(3);
  EXPECT_EQ(callBack.send().wait(waitScope).getValue(), 3);

  auto fill = echo.fillRequest();
  fill.setBytes(3 << 20);
  fill.setValue(4);
  auto filled = fill.send().wait(waitScope);
  EXPECT_EQ(std::count(filled.getData().begin(), filled.getData().end(), 4), 3 << 20);

  auto refused = echo.callBackRequest();
  refused.setTarget(nullptr);
  EXPECT_EQ(failureOf([&]() { refused.send().wait(waitScope); }).getType(),
            kj::Exception::Type::FAILED);
}

class GatewayTest : public testing::Test {
 protected:
  std::unique_ptr<UniqueAddress> name() { return std::make_unique<UniqueAddress>("shm"); }

  const UniqueAddress serverName{"shm"};
  Running server{{"tests/echo_process", serverName.text()}};
};

TEST_F(GatewayTest, MakesAServerInSharedMemoryAvailableOverTcp) {
  auto gateway = newGateway("127.0.0.1:0", server.address);
  expectEverythingPasses(gateway.address);
}

TEST_F(GatewayTest, MakesAServerFarAwayAvailableInSharedMemory) {
  const UniqueAddress here("shm");
  auto toTcp = newGateway("127.0.0.1:0", server.address);
  auto toShm = newGateway(here.text(), toTcp.address);
  expectEverythingPasses(here.text());
}

TEST_F(GatewayTest, ServesManyClients) {
  auto gateway = newGateway("127.0.0.1:0", server.address);
  for (int i = 0; i < 10; ++i) {
    expectEverythingPasses(gateway.address);
  }
}

TEST_F(GatewayTest, PassesADisconnectOn) {
  const UniqueAddress here("shm");
  auto toTcp = newGateway("127.0.0.1:0", server.address);
  auto toShm = newGateway(here.text(), toTcp.address);
  RpcClient client(here.text().c_str());
  auto echo = client.getMain<test::Echo>();
  auto request = echo.pingRequest();
  request.setValue(1);
  request.send().wait(client.getWaitScope());
  auto pending = echo.neverRequest().send();
  server.process->Kill();
  EXPECT_EQ(failureOf([&]() { pending.wait(client.getWaitScope()); }).getType(),
            kj::Exception::Type::DISCONNECTED);
  EXPECT_EQ(failureOf([&]() { echo.pingRequest().send().wait(client.getWaitScope()); }).getType(),
            kj::Exception::Type::DISCONNECTED);
}

TEST_F(GatewayTest, FindsTheServersSuccessor) {
  auto gateway = newGateway("127.0.0.1:0", server.address);
  expectEverythingPasses(gateway.address);
  server.process->Kill();
  const Running successor({"tests/echo_process", serverName.text()});
  expectEverythingPasses(gateway.address);
}

TEST_F(GatewayTest, SpeaksTlsBetweenMachinesAndVerifiesBothSides) {
  const Certificates certificates;
  const UniqueAddress here("shm");
  auto toTcp = newGateway("127.0.0.1:0", server.address, certificates.flagsOf("server"));
  auto toShm = newGateway(here.text(), toTcp.address, certificates.flagsOf("client"));
  expectEverythingPasses(here.text());
}

TEST_F(GatewayTest, LetsNoClientInThatHasNoCertificate) {
  const Certificates certificates;
  const UniqueAddress here("shm");
  auto toTcp = newGateway("127.0.0.1:0", server.address, certificates.flagsOf("server"));
  auto toShm = newGateway(here.text(), toTcp.address, {certificates.authority()});
  RpcClient client(here.text().c_str());
  EXPECT_EQ(failureOf([&]() {
              client.getMain<test::Echo>().pingRequest().send().wait(client.getWaitScope());
            }).getType(),
            kj::Exception::Type::DISCONNECTED);
}

TEST_F(GatewayTest, DoesNotConnectToAServerOfAnotherName) {
  const Certificates certificates;
  const UniqueAddress here("shm");
  auto toTcp = newGateway("127.0.0.1:0", server.address, certificates.flagsOf("client"));
  auto toShm = newGateway(here.text(), toTcp.address, certificates.flagsOf("client"));
  RpcClient client(here.text().c_str());
  EXPECT_EQ(failureOf([&]() {
              client.getMain<test::Echo>().pingRequest().send().wait(client.getWaitScope());
            }).getType(),
            kj::Exception::Type::DISCONNECTED);
}

TEST(Gateway, EndsWhenItCannotListen) {
  ChildProcess gateway({GATEWAY, "--listen=shm:", "--connect=shm:x"});
  EXPECT_EQ(gateway.Wait(), 1);
  ChildProcess unsure({GATEWAY, "--listen=shm:x"});
  EXPECT_EQ(unsure.Wait(), 2);
  ChildProcess unread(
      {GATEWAY, "--listen=127.0.0.1:0", "--connect=shm:x", "--tls_certificate=/none"});
  EXPECT_EQ(unread.Wait(), 1);
}

}  // namespace
}  // namespace shoal
