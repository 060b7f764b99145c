// A server whose methods work on other threads than the event loop's, as libmultiprocess's do: they
// read the parameters there, release them, fill the results, and come back to return.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <thread>
#include <utility>
#include <vector>

#include "capnp/rpc.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/async-io.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/rpc/vat_network.h"
#include "shoal/tests/echo.capnp.h"

namespace shoal {
namespace {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;
using testing::HasSubstr;

constexpr uint THREADS = 8;
constexpr uint64_t BYTES = 100'000;
constexpr uint CALLS = 200;
constexpr uint IN_FLIGHT = 16;

class Pool {
  // Threads that do what they are given.

public:
  Pool() {
    for (uint i = 0; i < THREADS; ++i) {
      threads.emplace_back([this]() { run(); });
    }
  }
  ~Pool() {
    for (uint i = 0; i < THREADS; ++i) {
      add(nullptr);
    }
    for (std::thread& thread: threads) {
      thread.join();
    }
  }
  KJ_DISALLOW_COPY(Pool);

  void add(std::function<void()> job) {
    const std::lock_guard lock(mutex);
    jobs.push(std::move(job));
    added.notify_one();
  }

private:
  void run() {
    while (auto job = next()) {
      job();
    }
  }

  std::function<void()> next() {
    std::unique_lock lock(mutex);
    added.wait(lock, [this]() { return !jobs.empty(); });
    std::function<void()> job = std::move(jobs.front());
    jobs.pop();
    return job;
  }

  std::mutex mutex;
  std::condition_variable added;
  std::queue<std::function<void()>> jobs;
  std::vector<std::thread> threads;
};

void fillAll(capnp::Data::Builder data, uint8_t value) {
  std::fill(data.begin(), data.end(), value);
}

class WorkingServer final: public test::Echo::Server {
public:
  explicit WorkingServer(Pool& pool): pool(pool) {}

protected:
  kj::Promise<void> ping(PingContext context) override {
    context.getResults().setValue(context.getParams().getValue());
    return kj::READY_NOW;
  }

  kj::Promise<void> fill(FillContext context) override {
    // Results that are begun on the loop's thread every other time, and built on the other one.
    const bool beginHere = ++calls % 2 == 0;
    if (beginHere) {
      context.getResults();
    }
    return onOtherThread([context]() mutable {
      const uint64_t bytes = context.getParams().getBytes();
      const uint8_t value = context.getParams().getValue();
      context.releaseParams();
      fillAll(context.getResults().initData(bytes), value);
    });
  }

  kj::Promise<void> sum(SumContext context) override {
    return onOtherThread([context]() mutable {
      uint64_t total = 0;
      for (const uint8_t byte: context.getParams().getData()) {
        total += byte;
      }
      context.releaseParams();
      context.getResults().setTotal(total);
    });
  }

private:
  kj::Promise<void> onOtherThread(std::function<void()> work) {
    auto done = kj::newPromiseAndCrossThreadFulfiller<void>();
    auto* fulfiller = new kj::Own<kj::CrossThreadPromiseFulfiller<void>>(kj::mv(done.fulfiller));
    // What orders the two threads is a mutex of libkj's own, which ThreadSanitizer does not see; so
    // it is shown this as well.
    auto isDone = std::make_shared<std::atomic<bool>>(false);
    pool.add([work = std::move(work), fulfiller, isDone]() {
      work();
      isDone->store(true, std::memory_order_release);
      (*fulfiller)->fulfill();
      delete fulfiller;
    });
    return done.promise.then([isDone]() { EXPECT_TRUE(isDone->load(std::memory_order_acquire)); });
  }

  Pool& pool;
  uint calls = 0;
};

test::Echo::Client bootstrap(capnp::RpcSystem<VatId>& rpcSystem) {
  capnp::MallocMessageBuilder message(4);
  auto id = message.initRoot<VatId>();
  id.setSide(Side::SERVER);
  return rpcSystem.bootstrap(id).castAs<test::Echo>();
}

struct BothEnds {
  // A client and its server in the event loop of this thread.

  explicit BothEnds(const ChannelOptions& options, capnp::Capability::Client main)
      : ends(newChannelEnds(options)),
        client(poller, kj::mv(ends.left), Side::CLIENT),
        server(poller, kj::mv(ends.right), Side::SERVER),
        clientSystem(capnp::makeRpcClient(client)),
        serverSystem(capnp::makeRpcServer(server, kj::mv(main))),
        echo(bootstrap(clientSystem)) {}

  kj::AsyncIoContext io = kj::setupAsyncIo();
  Poller poller{io.unixEventPort};
  ChannelEnds ends;
  VatNetwork client;
  VatNetwork server;
  capnp::RpcSystem<VatId> clientSystem;
  capnp::RpcSystem<VatId> serverSystem;
  test::Echo::Client echo;
};

kj::Promise<void> callAgain(test::Echo::Client echo, uint left) {
  if (left == 0) {
    return kj::READY_NOW;
  }
  auto sum = echo.sumRequest();
  fillAll(sum.initData(BYTES), static_cast<uint8_t>(left));
  auto summed = sum.send();
  auto fill = echo.fillRequest();
  fill.setBytes(BYTES);
  fill.setValue(static_cast<uint8_t>(left));
  return fill.send().then([echo, left, summed = kj::mv(summed)](auto&& filled) mutable {
    const auto data = filled.getData();
    EXPECT_EQ(data.size(), BYTES);
    EXPECT_EQ(std::count(data.begin(), data.end(), static_cast<uint8_t>(left)), BYTES);
    return summed.then([echo, left](auto&& total) mutable {
      EXPECT_EQ(total.getTotal(), BYTES * static_cast<uint8_t>(left));
      return callAgain(kj::mv(echo), left - 1);
    });
  });
}

void callAllThrough(const ChannelOptions& options) {
  Pool pool;
  BothEnds both(options, kj::heap<WorkingServer>(pool));
  auto calls = kj::heapArrayBuilder<kj::Promise<void>>(IN_FLIGHT);
  for (uint i = 0; i < IN_FLIGHT; ++i) {
    calls.add(callAgain(both.echo, CALLS / IN_FLIGHT));
  }
  kj::joinPromises(calls.finish()).wait(both.io.waitScope);
}

ChannelOptions defaultOptions() {
  ChannelOptions options;
  options.when_full = WhenFull::kSpill;
  return options;
}

TEST(VatNetworkThreads, ReadParametersAndFillResultsOffTheLoop) {
  callAllThrough(defaultOptions());
}

TEST(VatNetworkThreads, DoSoInTheSmallestOutboxToo) {
  callAllThrough(smallestOptions());
}

TEST(VatNetworkThreads, GiveBackEveryBlock) {
  Pool pool;
  BothEnds both(defaultOptions(), kj::heap<WorkingServer>(pool));
  callAgain(both.echo, 50).wait(both.io.waitScope);
  both.echo.pingRequest().send().wait(both.io.waitScope);
  callAgain(both.echo, 1).wait(both.io.waitScope);
  EXPECT_LE(both.server.getChannel().stats().blocks_claimed, 2);
  EXPECT_LE(both.client.getChannel().stats().blocks_claimed, 2);
}

TEST(VatNetworkThreads, ThatUseACapabilityOfAnotherHearThat) {
  Pool pool;
  BothEnds both(defaultOptions(), kj::heap<WorkingServer>(pool));
  auto child = both.echo.pingRequest().send();
  child.wait(both.io.waitScope);
  std::thread([&both]() {
    auto io = kj::setupAsyncIo();
    const kj::Exception failure =
        failureOf([&]() { both.echo.pingRequest().send().wait(io.waitScope); });
    EXPECT_THAT(textOf(failure), HasSubstr("a capability was used in another thread"));
  }).join();
  both.echo.pingRequest().send().wait(both.io.waitScope);
}

TEST(VatNetworkThreads, ThatUseThePollerOfAnotherHearThat) {
  auto io = kj::setupAsyncIo();
  Poller poller(io.unixEventPort);
  ChannelEnds ends = newChannelEnds();
  std::thread([&]() {
    const kj::Exception failure =
        failureOf([&]() { VatNetwork network(poller, kj::mv(ends.left), Side::CLIENT); });
    EXPECT_THAT(textOf(failure), HasSubstr("a Poller belongs to the thread that made it"));
  }).join();
}

}  // namespace
}  // namespace shoal
