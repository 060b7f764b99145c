// RPC systems on two VatNetworks in one event loop.

#include <sys/socket.h>

#include <algorithm>
#include <vector>

#include "capnp/rpc.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/async-io.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/rpc/vat_network.h"
#include "shoal/tests/echo_server.h"

namespace shoal {
namespace {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;
using testing::HasSubstr;

constexpr capnp::ReaderOptions ONE_KILOBYTE = {.traversalLimitInWords = 128, .nestingLimit = 64};

class VatEnd {
  // A network and the RPC system on it.

public:
  VatEnd(Poller& poller, kj::Own<Channel> channel, Side side, capnp::ReaderOptions options)
      : network(poller, kj::mv(channel), side, options),
        rpcSystem(
            capnp::makeRpcServer(network, capnp::Capability::Client(kj::heap<EchoServer>()))) {}

  test::Echo::Client bootstrap() {
    capnp::MallocMessageBuilder message(4);
    auto id = message.initRoot<VatId>();
    id.setSide(network.getSide() == Side::CLIENT ? Side::SERVER : Side::CLIENT);
    return rpcSystem.bootstrap(id).castAs<test::Echo>();
  }

  ChannelStats stats() { return network.getChannel().stats(); }

  void hangUpWithoutAnEnd() { shutdown(network.getChannel().doorbell(), SHUT_RDWR); }

  VatNetwork network;
  capnp::RpcSystem<VatId> rpcSystem;
};

class VatNetworkRpc: public testing::Test {
protected:
  VatNetworkRpc() = default;
  ~VatNetworkRpc() noexcept override {  // KJ's destructors may throw, GoogleTest's must not
    io.waitScope
        .poll();  // a channel that has something to deliver, and nobody who reads, ends slowly
  }

  test::Echo::Client connect(const ChannelOptions& options = smallestOptions(),
                             capnp::ReaderOptions clientReads = capnp::ReaderOptions(),
                             capnp::ReaderOptions serverReads = capnp::ReaderOptions()) {
    ChannelOptions left = options;
    left.reader = clientReads;
    ChannelOptions right = options;
    right.reader = serverReads;
    ChannelEnds ends = newChannelEnds(left, right);
    client = kj::heap<VatEnd>(poller, kj::mv(ends.left), Side::CLIENT, clientReads);
    server = kj::heap<VatEnd>(poller, kj::mv(ends.right), Side::SERVER, serverReads);
    return client->bootstrap();
  }

  uint64_t ping(test::Echo::Client echo, uint64_t value) {
    auto request = echo.pingRequest();
    request.setValue(value);
    return request.send().wait(io.waitScope).getValue();
  }

  uint64_t sum(test::Echo::Client echo, size_t bytes) {
    auto request = echo.sumRequest();
    auto data = request.initData(bytes);
    std::fill(data.begin(), data.end(), 1);
    return request.send().wait(io.waitScope).getTotal();
  }

  capnp::RemotePromise<test::Echo::FillResults> fill(test::Echo::Client echo, size_t bytes,
                                                     uint8_t value) {
    auto request = echo.fillRequest();
    request.setBytes(bytes);
    request.setValue(value);
    return request.send();
  }

  kj::AsyncIoContext io = kj::setupAsyncIo();
  Poller poller{io.unixEventPort};
  kj::Own<VatEnd> server;
  kj::Own<VatEnd> client;
};

TEST_F(VatNetworkRpc, TheClientCallsTheServer) {
  auto echo = connect();
  EXPECT_EQ(ping(echo, 1), 1);
  EXPECT_EQ(ping(echo, 2), 2);
}

TEST_F(VatNetworkRpc, TheServerCallsTheClient) {
  connect();
  EXPECT_EQ(ping(server->bootstrap(), 3), 3);
}

TEST_F(VatNetworkRpc, AnswersMoreCallsAtOnceThanTheRingHasSlots) {
  auto echo = connect();
  std::vector<capnp::RemotePromise<test::Echo::PingResults>> calls;
  for (uint64_t i = 0; i < 1000; ++i) {
    auto request = echo.pingRequest();
    request.setValue(i);
    calls.push_back(request.send());
  }
  for (uint64_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(calls[i].wait(io.waitScope).getValue(), i);
  }
}

TEST_F(VatNetworkRpc, PipelinesACallOnACapabilityThatIsStillOnItsWay) {
  auto request = connect().childRequest().send().getChild().pingRequest();
  request.setValue(4);
  EXPECT_EQ(request.send().wait(io.waitScope).getValue(), 4);
}

TEST_F(VatNetworkRpc, LetsTheServerCallACapabilityThatCameWithTheCall) {
  auto request = connect().callBackRequest();
  request.setTarget(kj::heap<EchoServer>());
  request.setValue(5);
  EXPECT_EQ(request.send().wait(io.waitScope).getValue(), 5);
}

TEST_F(VatNetworkRpc, CopiesNoWordOfAMegabyteThatIsBuiltInPlaceAndRead) {
  ChannelOptions options;
  options.when_full = WhenFull::kSpill;
  auto echo = connect(options);
  EXPECT_EQ(sum(echo, 1 << 20), 1 << 20);
  EXPECT_EQ(client->stats().words_copied_out, 0);
  EXPECT_EQ(server->stats().words_copied_in, 0);
}

TEST_F(VatNetworkRpc, CarriesParametersAndAnswersLargerThanTheOutbox) {
  auto echo = connect();
  EXPECT_EQ(sum(echo, 1 << 20), 1 << 20);
  auto response = fill(echo, 1 << 20, 6).wait(io.waitScope);
  const auto data = response.getData();
  EXPECT_EQ(std::count(data.begin(), data.end(), 6), 1 << 20);
}

TEST_F(VatNetworkRpc, CompletesLargeAnswersThatAreHeldWhileMoreCome) {
  auto echo = connect();
  std::vector<capnp::RemotePromise<test::Echo::FillResults>> calls;
  for (int i = 0; i < 50; ++i) {
    calls.push_back(fill(echo, 30'000, static_cast<uint8_t>(i)));
  }
  std::vector<capnp::Response<test::Echo::FillResults>> held;
  for (auto& call: calls) {
    held.push_back(call.wait(io.waitScope));
  }
  for (int i = 0; i < 50; ++i) {
    const auto data = held[i].getData();
    ASSERT_EQ(std::count(data.begin(), data.end(), i), 30'000);
  }
}

TEST_F(VatNetworkRpc, GivesBackAllBlocksOnceAnswersAreDropped) {
  auto echo = connect();
  for (int i = 0; i < 50; ++i) {
    fill(echo, 30'000, 1).wait(io.waitScope);
  }
  ping(echo, 1);
  ping(echo, 2);                            // Cap'n Proto drops an answer when its Finish comes
  fill(echo, 1'000, 1).wait(io.waitScope);  // and what the peer gave back is looked at in the next
  EXPECT_LE(server->stats().blocks_claimed, 1);
}

TEST_F(VatNetworkRpc, ParametersAboveTheLimitFailTheirCallAndTheConnectionLivesOn) {
  auto echo = connect(smallestOptions(), capnp::ReaderOptions(), ONE_KILOBYTE);
  EXPECT_THAT(textOf(failureOf([&]() { sum(echo, 2'000); })),
              HasSubstr("ReaderOptions::traversalLimitInWords"));
  EXPECT_EQ(ping(echo, 1), 1);
}

TEST_F(VatNetworkRpc, AnAnswerAboveTheLimitFailsItsCallAndTheConnectionLivesOn) {
  auto echo = connect(smallestOptions(), ONE_KILOBYTE);
  EXPECT_THAT(textOf(failureOf([&]() { fill(echo, 2'000, 1).wait(io.waitScope); })),
              HasSubstr("ReaderOptions::traversalLimitInWords"));
  EXPECT_EQ(ping(echo, 1), 1);
}

TEST_F(VatNetworkRpc, APeerThatAcceptsNothingEndsItsConnectionAndNoProcess) {
  // Not even the error instead of an answer, which is sent where nothing may be thrown.
  ChannelOptions hostile = smallestOptions();
  hostile.reader = capnp::ReaderOptions{.traversalLimitInWords = 1, .nestingLimit = 64};
  ChannelEnds ends = newChannelEnds(hostile, smallestOptions());
  client = kj::heap<VatEnd>(poller, kj::mv(ends.left), Side::CLIENT, capnp::ReaderOptions());
  server = kj::heap<VatEnd>(poller, kj::mv(ends.right), Side::SERVER, capnp::ReaderOptions());
  auto ended = server->network.onDisconnect();
  auto echo = client->bootstrap();
  failureOf([&]() { ping(echo, 1); });
  ended.wait(io.waitScope);
}

TEST_F(VatNetworkRpc, TooMuchThatWaitsFailsAllCallsNamesTheLimitAndLetsGoOfTheConnection) {
  ChannelOptions options = smallestOptions();
  options.max_pending_bytes = 100'000;
  auto echo = connect(options);
  ping(echo, 1);
  auto pending = echo.neverRequest().send();
  auto disconnected = client->network.onDisconnect();
  std::vector<capnp::RemotePromise<test::Echo::SumResults>> calls;
  for (int i = 0; i < 3; ++i) {
    auto request = echo.sumRequest();
    request.initData(90'000);
    calls.push_back(request.send());
  }
  const kj::Exception failure = failureOf([&]() { pending.wait(io.waitScope); });
  EXPECT_EQ(failure.getType(), kj::Exception::Type::DISCONNECTED);
  EXPECT_THAT(textOf(failure), HasSubstr("max_pending_bytes, 100000"));
  disconnected.wait(io.waitScope);
  server = nullptr;
}

TEST_F(VatNetworkRpc, WhatIsDroppedOnAnExhaustedConnectionThrowsFromNoDestructor) {
  // Dropping a capability and an answer sends a message each, from a destructor that must not
  // throw.
  ChannelOptions options = smallestOptions();
  options.max_pending_bytes = 1;
  auto echo = connect(options);
  std::vector<test::Echo::Client> children;
  std::vector<capnp::Response<test::Echo::FillResults>> answers;
  for (int i = 0; i < 10; ++i) {
    children.push_back(echo.childRequest().send().wait(io.waitScope).getChild());
    answers.push_back(fill(echo, 10, 1).wait(io.waitScope));
  }
  std::vector<capnp::Request<test::Echo::PingParams, test::Echo::PingResults>> begun;
  for (int i = 0; i < 10; ++i) {
    begun.push_back(echo.pingRequest());
  }
  std::vector<capnp::RemotePromise<test::Echo::PingResults>> calls;
  for (int i = 0; i < 100; ++i) {
    calls.push_back(echo.pingRequest().send());  // more than the ring has slots
  }
  begun.clear();
  children.clear();
  answers.clear();
  const kj::Exception failure = failureOf([&]() { calls.back().wait(io.waitScope); });
  EXPECT_EQ(failure.getType(), kj::Exception::Type::DISCONNECTED);
  EXPECT_THAT(textOf(failure), HasSubstr("max_pending_bytes"));
  calls.clear();
  server = nullptr;
}

TEST_F(VatNetworkRpc, ControlMessagesGetThroughWhileThePeerHoldsAllThatTheOutboxHas) {
  auto echo = connect();
  std::vector<capnp::Response<test::Echo::FillResults>> held;
  for (int i = 0; i < 40; ++i) {
    held.push_back(fill(echo, 30'000, 1).wait(io.waitScope));
  }
  auto child = echo.childRequest().send().wait(io.waitScope).getChild();
  EXPECT_EQ(ping(child, 1), 1);
  child = nullptr;
  held.clear();
  for (int i = 0; i < 40; ++i) {
    ping(echo, i);
  }
  fill(echo, 1'000, 1).wait(io.waitScope);
  EXPECT_LE(server->stats().blocks_claimed, 1);
}

TEST_F(VatNetworkRpc, AnAnswerAndACapabilityOutliveTheConnectionAndItsNetwork) {
  auto echo = connect();
  auto response = fill(echo, 30'000, 7).wait(io.waitScope);
  auto unsent = echo.sumRequest();
  unsent.initData(30'000);
  client = nullptr;
  server = nullptr;
  const auto data = response.getData();
  EXPECT_EQ(std::count(data.begin(), data.end(), 7), 30'000);
  EXPECT_EQ(failureOf([&]() { unsent.send().wait(io.waitScope); }).getType(),
            kj::Exception::Type::DISCONNECTED);
  EXPECT_EQ(failureOf([&]() { ping(echo, 1); }).getType(), kj::Exception::Type::DISCONNECTED);
}

TEST_F(VatNetworkRpc, PendingCallsFailAsDisconnectedWhenThePeerIsGoneWithoutAWord) {
  auto echo = connect();
  ping(echo, 1);
  auto call = echo.neverRequest().send();
  auto disconnected = client->network.onDisconnect();
  server->hangUpWithoutAnEnd();
  EXPECT_EQ(failureOf([&]() { call.wait(io.waitScope); }).getType(),
            kj::Exception::Type::DISCONNECTED);
  EXPECT_EQ(failureOf([&]() { ping(echo, 2); }).getType(), kj::Exception::Type::DISCONNECTED);
  disconnected.wait(io.waitScope);
}

TEST_F(VatNetworkRpc, TheServerLetsGoOfAClientThatHasLeft) {
  auto echo = connect();
  ping(echo, 1);
  auto disconnected = server->network.onDisconnect();
  EXPECT_FALSE(disconnected.poll(io.waitScope));
  echo = nullptr;
  client = nullptr;
  disconnected.wait(io.waitScope);
}

TEST_F(VatNetworkRpc, SeveralConnectionsOfOneThreadAnswerAtOnce) {
  auto firstEcho = connect();
  auto firstServer = kj::mv(server);
  auto firstClient = kj::mv(client);
  auto secondEcho = connect();
  std::vector<capnp::RemotePromise<test::Echo::PingResults>> calls;
  for (uint64_t i = 0; i < 200; ++i) {
    auto request = (i % 2 == 0 ? firstEcho : secondEcho).pingRequest();
    request.setValue(i);
    calls.push_back(request.send());
  }
  for (uint64_t i = 0; i < 200; ++i) {
    ASSERT_EQ(calls[i].wait(io.waitScope).getValue(), i);
  }
}

}  // namespace
}  // namespace shoal
