// Servers that end gracefully.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/debug.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo_server.h"
#include "shoal/tests/where_reached.h"

namespace shoal {
namespace {

class Gate {
  // A call waits at it until it opens.

public:
  Gate(): Gate(kj::newPromiseAndFulfiller<void>()) {}

  void open() { fulfiller->fulfill(); }
  kj::Promise<void> whenOpen() { return opened.addBranch(); }
  bool isReached() const { return reached; }
  void reach() { reached = true; }

private:
  explicit Gate(kj::PromiseFulfillerPair<void> pair)
      : fulfiller(kj::mv(pair.fulfiller)), opened(pair.promise.fork()) {}

  kj::Own<kj::PromiseFulfiller<void>> fulfiller;
  kj::ForkedPromise<void> opened;
  bool reached = false;
};

class LateEcho final: public test::Echo::Server {
public:
  explicit LateEcho(Gate& gate): gate(gate) {}

protected:
  kj::Promise<void> ping(PingContext context) override {
    gate.reach();
    return gate.whenOpen().then(
        [context]() mutable { context.getResults().setValue(context.getParams().getValue()); });
  }

private:
  Gate& gate;
};

struct Case {
  std::string transport;
  uint threads;
};

class DrainedServer: public testing::TestWithParam<Case> {
protected:
  DrainedServer() {
    RpcServerOptions options;
    options.upgrade = false;
    options.threads = GetParam().threads;
    BootstrapFactory factory = [](const Peer&) { return kj::heap<EchoServer>(); };
    server =
        kj::heap<RpcServer>(factory, address.text().c_str(), 0u, capnp::ReaderOptions(), options);
    connectTo = kj::str(WhereReached(*server, address.text()).c_str());
  }
  ~DrainedServer() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  kj::WaitScope& waitScope() { return server->getWaitScope(); }

  kj::Promise<uint64_t> ping(RpcClient& client, uint64_t value) {
    auto request = client.getMain<test::Echo>().pingRequest();
    request.setValue(value);
    return request.send().then([](auto response) { return response.getValue(); });
  }

  // A call that the server answers when this side opens the gate.
  kj::Promise<uint64_t> callThrough(Gate& gate, RpcClient& client, uint64_t value) {
    auto request = client.getMain<test::Echo>().callBackRequest();
    request.setTarget(kj::heap<LateEcho>(gate));
    request.setValue(value);
    auto call = request.send().then([](auto response) -> uint64_t { return response.getValue(); });
    while (!gate.isReached()) {
      ping(client, 0).wait(waitScope());
    }
    return call;
  }

  // What the call fails with, or nothing.
  static kj::Maybe<kj::Exception::Type> failureOf(kj::Promise<uint64_t> call,
                                                  kj::WaitScope& waitScope) {
    const auto failure = kj::runCatchingExceptions([&]() { call.wait(waitScope); });
    return failure.map([](const kj::Exception& exception) { return exception.getType(); });
  }

  void expectDisconnected(kj::Promise<uint64_t> call, kj::WaitScope& waitScope) {
    EXPECT_TRUE(failureOf(kj::mv(call), waitScope) == kj::Exception::Type::DISCONNECTED);
  }

  // Pings until that fails, for a server that is on its way out.
  void expectToBeLeft(RpcClient& client) {
    kj::Maybe<kj::Exception::Type> failure;
    while (failure == nullptr) {
      failure = failureOf(ping(client, 1), waitScope());
    }
    EXPECT_TRUE(failure == kj::Exception::Type::DISCONNECTED);
  }

  const UniqueAddress address{GetParam().transport};
  kj::Own<RpcServer> server;
  kj::String connectTo;
};

INSTANTIATE_TEST_SUITE_P(Over, DrainedServer,
                         testing::Values(Case{"shm", 0}, Case{"unix", 0}, Case{"tcp", 0},
                                         Case{"shm", 2}, Case{"tcp", 2}),
                         [](const auto& info) {
                           return info.param.transport + (info.param.threads > 0 ? "_threads" : "");
                         });

TEST_P(DrainedServer, HasGoneAtOnceWithoutClients) {
  server->drain().wait(waitScope());
}

TEST_P(DrainedServer, AnswersWhatWasAskedAndThenLeaves) {
  RpcClient first(connectTo);
  RpcClient second(connectTo);
  Gate gate;
  auto late = callThrough(gate, first, 7);
  EXPECT_EQ(ping(second, 1).wait(waitScope()), 1);
  auto drained = server->drain();
  expectToBeLeft(second);
  EXPECT_FALSE(drained.poll(waitScope())) << "it leaves while a call is unanswered";
  gate.open();
  EXPECT_EQ(late.wait(waitScope()), 7);
  drained.wait(waitScope());
  expectDisconnected(ping(first, 3), waitScope());
}

TEST_P(DrainedServer, AnswersWhatAClientAsksWhileItsFirstCallIsPending) {
  RpcClient client(connectTo);
  Gate gate;
  auto late = callThrough(gate, client, 7);
  auto drained = server->drain();
  EXPECT_EQ(ping(client, 4).wait(waitScope()), 4);
  gate.open();
  EXPECT_EQ(late.wait(waitScope()), 7);
  drained.wait(waitScope());
}

TEST_P(DrainedServer, LetsNobodyIn) {
  server->drain().wait(waitScope());
  RpcClientOptions options;
  options.channel.connect_timeout = absl::ZeroDuration();
  options.upgrade = false;
  RpcClient client(connectTo, 0, capnp::ReaderOptions(), options);
  expectDisconnected(ping(client, 1), waitScope());
}

TEST_P(DrainedServer, MayBeDestroyedBeforeItHasGone) {
  RpcClient client(connectTo);
  Gate gate;
  auto late = callThrough(gate, client, 7);
  {
    auto drained = server->drain();
    EXPECT_FALSE(drained.poll(waitScope()));
  }
  server = nullptr;
  expectDisconnected(kj::mv(late), client.getWaitScope());
}

}  // namespace
}  // namespace shoal
