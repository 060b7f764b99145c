// Servers that serve in threads of their own, and main interfaces that depend on the client.

#include <unistd.h>

#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

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

using testing::HasSubstr;

class Noted {
  // What a factory was asked, from any thread.

public:
  void note(const Peer& client) {
    const std::lock_guard lock(mutex);
    peers.push_back(client);
    threads.insert(std::this_thread::get_id());
  }

  std::vector<Peer> getPeers() {
    const std::lock_guard lock(mutex);
    return peers;
  }

  std::set<std::thread::id> getThreads() {
    const std::lock_guard lock(mutex);
    return threads;
  }

private:
  std::mutex mutex;
  std::vector<Peer> peers;
  std::set<std::thread::id> threads;
};

class ServerOfEachTransport: public testing::TestWithParam<std::string> {
protected:
  ServerOfEachTransport() = default;
  ~ServerOfEachTransport() noexcept override {
  }  // KJ's destructors may throw, GoogleTest's must not

  BootstrapFactory factory() {
    return [this](const Peer& client) -> capnp::Capability::Client {
      noted.note(client);
      return kj::heap<EchoServer>();
    };
  }

  kj::Own<RpcServer> newServer(RpcServerOptions options) {
    options.upgrade = false;
    auto server =
        kj::heap<RpcServer>(factory(), address.text().c_str(), 0u, capnp::ReaderOptions(), options);
    connectTo = kj::str(WhereReached(*server, address.text()).c_str());
    return server;
  }

  uint64_t ping(RpcClient& client, uint64_t value) {
    auto request = client.getMain<test::Echo>().pingRequest();
    request.setValue(value);
    return request.send().wait(client.getWaitScope()).getValue();
  }

  Noted noted;
  const UniqueAddress address{GetParam()};
  kj::String connectTo;
};

INSTANTIATE_TEST_SUITE_P(Over, ServerOfEachTransport, testing::Values("shm", "unix", "tcp"),
                         [](auto& info) { return info.param; });

TEST_P(ServerOfEachTransport, GivesEachClientItsOwnMainInterface) {
  auto server = newServer({});
  RpcClient first(connectTo);
  RpcClient second(connectTo);
  EXPECT_EQ(ping(first, 1), 1);
  EXPECT_EQ(ping(second, 2), 2);
  EXPECT_EQ(noted.getPeers().size(), 2);
}

TEST_P(ServerOfEachTransport, TellsTheFactoryWhoTheClientIs) {
  auto server = newServer({});
  RpcClient client(connectTo);
  ping(client, 1);
  const Peer peer = noted.getPeers().at(0);
  EXPECT_FALSE(peer.address.empty());
  if (GetParam() == "tcp") {
    EXPECT_EQ(peer.uid, kNoUid);
  } else {
    EXPECT_EQ(peer.pid, getpid());
    EXPECT_EQ(peer.uid, getuid());
  }
}

TEST_P(ServerOfEachTransport, AFactoryThatThrowsFailsThatClientsCalls) {
  RpcServerOptions options;
  options.upgrade = false;
  RpcServer server([](const Peer&) -> capnp::Capability::Client { KJ_FAIL_REQUIRE("not you"); },
                   address.text().c_str(), 0u, capnp::ReaderOptions(), options);
  RpcClient client(WhereReached(server, address.text()).c_str());
  EXPECT_THAT(textOf(failureOf([&]() { ping(client, 1); })), HasSubstr("not you"));
}

TEST_P(ServerOfEachTransport, SpreadsItsClientsOverItsThreads) {
  RpcServerOptions options;
  options.threads = 3;
  auto server = newServer(options);
  std::vector<kj::Own<RpcClient>> clients;
  for (uint64_t i = 0; i < 6; ++i) {
    clients.push_back(kj::heap<RpcClient>(connectTo));
    ASSERT_EQ(ping(*clients[i], i), i);
  }
  EXPECT_EQ(noted.getThreads().size(), 3);
  EXPECT_EQ(noted.getThreads().count(std::this_thread::get_id()), 0);
  for (uint64_t i = 0; i < 6; ++i) {
    ASSERT_EQ(ping(*clients[i], 10 + i), 10 + i);
  }
}

TEST_P(ServerOfEachTransport, GivesAPlaceThatAClientHasLeftToTheNextOne) {
  RpcServerOptions options;
  options.threads = 2;
  auto server = newServer(options);
  auto stays = kj::heap<RpcClient>(connectTo);
  ping(*stays, 0);
  for (uint64_t i = 0; i < 5; ++i) {
    RpcClient comes(connectTo);
    ASSERT_EQ(ping(comes, i), i);
  }
  EXPECT_EQ(ping(*stays, 7), 7);
}

TEST_P(ServerOfEachTransport, WithThreadsCutsItsClientsOffWhenItIsDestroyed) {
  RpcServerOptions options;
  options.threads = 2;
  auto server = newServer(options);
  RpcClient client(connectTo);
  auto echo = client.getMain<test::Echo>();
  ping(client, 1);
  auto pending = echo.neverRequest().send();
  server = nullptr;
  EXPECT_EQ(failureOf([&]() { pending.wait(client.getWaitScope()); }).getType(),
            kj::Exception::Type::DISCONNECTED);
}

TEST_P(ServerOfEachTransport, WithThreadsServesClientsOfManyThreads) {
  RpcServerOptions options;
  options.threads = 2;
  std::promise<std::string> serving;
  std::promise<void> done;
  std::thread serverThread([&]() {
    auto server = newServer(options);
    auto stopping = kj::newPromiseAndCrossThreadFulfiller<void>();
    serving.set_value(connectTo.cStr());
    std::thread waiter([&]() {
      done.get_future().wait();
      stopping.fulfiller->fulfill();
    });
    stopping.promise.wait(server->getWaitScope());
    waiter.join();
  });
  const std::string where = serving.get_future().get();
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&]() {
      RpcClient client(where.c_str());
      for (uint64_t j = 0; j < 200; ++j) {
        ASSERT_EQ(ping(client, j), j);
      }
    });
  }
  for (std::thread& client: clients) {
    client.join();
  }
  done.set_value();
  serverThread.join();
}

TEST(ServerWithThreads, NeedsAFactory) {
  RpcServerOptions options;
  options.threads = 1;
  EXPECT_THAT(textOf(failureOf([&]() {
                RpcServer server(kj::heap<EchoServer>(), "shm:x", 0u, capnp::ReaderOptions(),
                                 options);
              })),
              HasSubstr("BootstrapFactory"));
}

TEST(ServerWithThreads, ExportsNothingByName) {
  const UniqueAddress address("shm");
  RpcServerOptions options;
  options.threads = 1;
  RpcServer server([](const Peer&) -> capnp::Capability::Client { return kj::heap<EchoServer>(); },
                   address.text().c_str(), 0u, capnp::ReaderOptions(), options);
  EXPECT_THAT(textOf(failureOf([&]() { server.exportCap("name", kj::heap<EchoServer>()); })),
              HasSubstr("by name"));
}

}  // namespace
}  // namespace shoal
