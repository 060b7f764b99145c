#include "shoal/rpc/resolving_client.h"

#include <vector>

#include "gtest/gtest.h"
#include "kj/async-io.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/tests/echo_server.h"

namespace shoal {
namespace {

class Ordered final: public test::Echo::Server {
  // Notes the order of calls.

public:
  explicit Ordered(std::vector<uint64_t>& calls): calls(calls) {}

protected:
  kj::Promise<void> ping(PingContext context) override {
    calls.push_back(context.getParams().getValue());
    return kj::READY_NOW;
  }

private:
  std::vector<uint64_t>& calls;
};

class ResolvingClientTest: public testing::Test {
protected:
  ResolvingClientTest() = default;
  ~ResolvingClientTest() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  kj::Promise<void> ping(uint64_t value) {
    auto request = echo.pingRequest();
    request.setValue(value);
    return request.send().ignoreResult();
  }

  kj::AsyncIoContext io = kj::setupAsyncIo();
  kj::PromiseFulfillerPair<capnp::Capability::Client> promised =
      kj::newPromiseAndFulfiller<capnp::Capability::Client>();
  test::Echo::Client echo = newResolvingClient(kj::mv(promised.promise)).castAs<test::Echo>();
};

TEST_F(ResolvingClientTest, CallsWaitForThePromise) {
  std::vector<uint64_t> calls;
  auto call = ping(1);
  EXPECT_FALSE(call.poll(io.waitScope));
  promised.fulfiller->fulfill(kj::heap<Ordered>(calls));
  call.wait(io.waitScope);
  EXPECT_EQ(calls, std::vector<uint64_t>({1}));
}

TEST_F(ResolvingClientTest, NoCallOvertakesAnother) {
  std::vector<uint64_t> calls;
  auto first = ping(1);
  auto second = ping(2);
  promised.fulfiller->fulfill(kj::heap<Ordered>(calls));
  auto third = kj::evalLater([this]() { return ping(3); });
  auto fourth = echo.whenResolved().then([this]() { return ping(4); });
  for (auto* call: {&first, &second, &third, &fourth}) {
    call->wait(io.waitScope);
  }
  EXPECT_EQ(calls, std::vector<uint64_t>({1, 2, 3, 4}));
}

TEST_F(ResolvingClientTest, CallsFailAsThePromiseDoes) {
  auto before = ping(1);
  promised.fulfiller->reject(KJ_EXCEPTION(OVERLOADED, "no"));
  EXPECT_EQ(failureOf([&]() { before.wait(io.waitScope); }).getType(),
            kj::Exception::Type::OVERLOADED);
  EXPECT_EQ(failureOf([&]() { ping(2).wait(io.waitScope); }).getType(),
            kj::Exception::Type::OVERLOADED);
}

TEST_F(ResolvingClientTest, PipelinesThroughThePromise) {
  auto call = echo.childRequest().send().getChild().pingRequest();
  call.setValue(5);
  auto answer = call.send();
  promised.fulfiller->fulfill(kj::heap<EchoServer>());
  EXPECT_EQ(answer.wait(io.waitScope).getValue(), 5);
}

}  // namespace
}  // namespace shoal
