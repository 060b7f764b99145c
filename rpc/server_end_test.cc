// Servers that end while clients go on calling, and while a handler is at work.

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "kj/timer.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo_server.h"
#include "shoal/tests/where_reached.h"

namespace shoal {
namespace {

class BusyClient {
  // Calls from a thread of its own, with many calls in flight, until the server is gone; or until
  // it has done so for as long as no test may last.

public:
  BusyClient(std::string address, kj::WaitScope& waitScope)
      : BusyClient(std::move(address), waitScope, kj::newPromiseAndCrossThreadFulfiller<void>()) {}
  ~BusyClient() { thread.join(); }

  bool wasCutOff() {
    thread.join();
    thread = std::thread([]() {});
    return isCutOff;
  }

private:
  BusyClient(std::string address, kj::WaitScope& waitScope,
             kj::PromiseCrossThreadFulfillerPair<void> paf)
      : called(kj::mv(paf.fulfiller)),
        thread([this, address = std::move(address)]() { callUntilDisconnected(address); }) {
    paf.promise.wait(waitScope);  // which the server is in
  }

  static constexpr uint IN_FLIGHT = 200;
  static constexpr auto LONGEST = std::chrono::seconds(10);

  kj::Promise<void> callOn(test::Echo::Client& echo) {
    // One of the calls in flight, and then the next.
    return echo.pingRequest().send().then([this, &echo](auto&&) {
      if (++answers == IN_FLIGHT) {
        called->fulfill();
      }
      return callOn(echo);
    });
  }

  void callUntilDisconnected(const std::string& address) {
    RpcClient client(address.c_str());
    auto echo = client.getMain<test::Echo>();
    auto& waitScope = client.getWaitScope();
    kj::Vector<kj::Promise<void>> lanes;
    for (uint i = 0; i < IN_FLIGHT; ++i) {
      lanes.add(callOn(echo));
    }
    waitScope.setBusyPollInterval(1000);
    auto over = client.getIoProvider().getTimer().afterDelay(LONGEST.count() * kj::SECONDS);
    auto all = kj::joinPromises(lanes.releaseAsArray());
    auto failure =
        kj::runCatchingExceptions([&]() { all.exclusiveJoin(kj::mv(over)).wait(waitScope); });
    isCutOff = failure != nullptr;
  }

  kj::Own<kj::CrossThreadPromiseFulfiller<void>> called;
  uint answers = 0;  // as all else, the thread's while it runs
  bool isCutOff = false;
  std::thread thread;
};

class SlowEcho final: public test::Echo::Server {
  // Takes so long over each call that what is queued takes many seconds.

  kj::Promise<void> ping(PingContext) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return kj::READY_NOW;
  }
};

class EndingServer: public testing::TestWithParam<std::string> {
protected:
  EndingServer() = default;
  ~EndingServer() noexcept override {}

  std::string serve(BootstrapFactory factory, uint threads) {
    RpcServerOptions options;
    options.threads = threads;
    options.upgrade = false;
    server = kj::heap<RpcServer>(kj::mv(factory), address.text().c_str(), 0u,
                                 capnp::ReaderOptions(), options);
    return WhereReached(*server, address.text());
  }

  const UniqueAddress address{GetParam()};
  kj::Own<RpcServer> server;
};

INSTANTIATE_TEST_SUITE_P(Over, EndingServer, testing::Values("shm", "unix", "tcp"),
                         [](auto& info) { return info.param; });

BootstrapFactory newSlowEcho() {
  return [](const Peer&) -> capnp::Capability::Client { return kj::heap<SlowEcho>(); };
}

TEST_P(EndingServer, WithThreadsCutsOffAClientThatCallsOn) {
  const std::string connectTo = serve(newSlowEcho(), 1);
  BusyClient client(connectTo, server->getWaitScope());
  server = nullptr;
  EXPECT_TRUE(client.wasCutOff());
}

TEST_P(EndingServer, BoundsItsDrainByATimer) {
  const std::string connectTo = serve(newSlowEcho(), 0);
  BusyClient client(connectTo, server->getWaitScope());
  auto& timer = server->getIoProvider().getTimer();
  server->drain()
      .exclusiveJoin(timer.afterDelay(50 * kj::MILLISECONDS))
      .wait(server->getWaitScope());
  server = nullptr;
  EXPECT_TRUE(client.wasCutOff());
}

TEST_P(EndingServer, LetsASecondClientInBesideOneThatCallsOn) {
  const std::string connectTo = serve(newSlowEcho(), 1);
  BusyClient busy(connectTo, server->getWaitScope());
  RpcClient client(connectTo.c_str());
  client.getMain<test::Echo>().pingRequest().send().wait(client.getWaitScope());
  server = nullptr;
  EXPECT_TRUE(busy.wasCutOff());
}

struct Blocked {
  // A handler that waits for the thread of the server.
  const kj::Executor& executor;
  std::promise<void> reached;
  std::promise<void> ending;  // the thread runs its loop no more
  std::promise<std::string> outcome;
};

class BlockedEcho final: public test::Echo::Server {
public:
  explicit BlockedEcho(std::shared_ptr<Blocked> blocked): blocked(std::move(blocked)) {}

  kj::Promise<void> ping(PingContext) override {
    blocked->reached.set_value();
    blocked->ending.get_future().wait();
    auto failure = kj::runCatchingExceptions([&]() { blocked->executor.executeSync([]() {}); });
    KJ_IF_MAYBE (exception, failure) {
      blocked->outcome.set_value(exception->getDescription().cStr());
    } else {
      blocked->outcome.set_value("executed");
    }
    return kj::READY_NOW;
  }

private:
  const std::shared_ptr<Blocked> blocked;
};

class HandlerThatWaits: public testing::Test {
protected:
  HandlerThatWaits() = default;
  ~HandlerThatWaits() noexcept override {}

  void endWhileAHandlerWaits(bool keepsTheLoop) {
    // In a thread that ends as well.
    const UniqueAddress address("shm");
    std::promise<std::shared_ptr<Blocked>> made;
    auto making = made.get_future();
    std::thread serving([&]() {
      RpcServerOptions options;
      options.threads = 1;
      kj::Own<RpcServer> other;
      if (keepsTheLoop) {
        other = kj::heap<RpcServer>(kj::heap<EchoServer>(), (address.text() + "other").c_str());
      }
      auto blocked = std::make_shared<std::shared_ptr<Blocked>>();
      auto server = kj::heap<RpcServer>(
          [blocked](const Peer&) -> capnp::Capability::Client {
            return kj::heap<BlockedEcho>(*blocked);
          },
          address.text().c_str(), 0u, capnp::ReaderOptions(), options);
      executor = kj::getCurrentThreadExecutor().addRef();
      *blocked = std::make_shared<Blocked>(Blocked{*executor, {}, {}, {}});
      auto reached = (*blocked)->reached.get_future();
      made.set_value(*blocked);
      while (reached.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
        server->getWaitScope().poll();
      }
      (*blocked)->ending.set_value();
      server = nullptr;
      if (keepsTheLoop) {
        // The loop runs on, and so does what waited for it.
        auto outcome = (*blocked)->outcome.get_future();
        while (outcome.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
          other->getWaitScope().poll();
        }
        first = outcome.get();
      }
    });
    auto blocked = making.get();
    {
      RpcClient client(address.text().c_str());
      auto call = client.getMain<test::Echo>().pingRequest().send();
      kj::runCatchingExceptions([&]() { call.wait(client.getWaitScope()); });
    }
    serving.join();
    if (!keepsTheLoop) {
      first = blocked->outcome.get_future().get();
    }
  }

  kj::Own<const kj::Executor> executor;
  std::string first;
};

TEST_F(HandlerThatWaits, ForTheEndingServersThreadGetsAnException) {
  endWhileAHandlerWaits(false);
  EXPECT_NE(first.find("event loop"), std::string::npos) << first;
}

TEST_F(HandlerThatWaits, ForAThreadWhoseLoopGoesOnIsServed) {
  endWhileAHandlerWaits(true);
  EXPECT_EQ(first, "executed");
}

}  // namespace
}  // namespace shoal
