#include "shoal/bench/loopback_network.h"

#include <string.h>

#include "gtest/gtest.h"
#include "kj/exception.h"
#include "shoal/bench/ping.capnp.h"
#include "shoal/bench/ping_server.h"
#include "shoal/rpc/vat.h"

namespace shoal {
namespace {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;

class LoopbackNetworkRpc : public testing::Test {
 protected:
  LoopbackNetworkRpc() {
    clientNetwork.join(serverNetwork);
    server = kj::heap(capnp::makeRpcServer(serverNetwork, NewPingServer()));
  }
  ~LoopbackNetworkRpc() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  schema::Ping::Client bootstrap() { return bootstrapServer(client).castAs<schema::Ping>(); }

  kj::EventLoop loop;
  kj::WaitScope waitScope{loop};
  LoopbackNetwork clientNetwork{Side::CLIENT};
  LoopbackNetwork serverNetwork{Side::SERVER};
  capnp::RpcSystem<VatId> client = capnp::makeRpcClient(clientNetwork);
  kj::Own<capnp::RpcSystem<VatId>> server;
};

TEST_F(LoopbackNetworkRpc, CarriesACallAndItsAnswer) {
  auto ping = bootstrap();
  auto request = ping.pingRequest();
  request.setSequence(7);
  request.setToken(9);
  const auto response = request.send().wait(waitScope);
  EXPECT_EQ(response.getSequence(), 7u);
  EXPECT_EQ(response.getToken(), 9u);
}

TEST_F(LoopbackNetworkRpc, CarriesAMessageOfSeveralSegments) {
  auto ping = bootstrap();
  auto request = ping.sinkRequest();
  auto data = request.initData(1 << 20);
  memset(data.begin(), 1, data.size());
  EXPECT_EQ(request.send().wait(waitScope).getSum(), (1u << 17) * 0x0101010101010101u);
}

TEST_F(LoopbackNetworkRpc, CarriesManyCallsAtOnce) {
  auto ping = bootstrap();
  auto first = ping.pingRequest();
  first.setSequence(1);
  auto second = ping.pingRequest();
  second.setSequence(2);
  auto firstAnswer = first.send();
  auto secondAnswer = second.send();
  EXPECT_EQ(secondAnswer.wait(waitScope).getSequence(), 2u);
  EXPECT_EQ(firstAnswer.wait(waitScope).getSequence(), 1u);
}

TEST_F(LoopbackNetworkRpc, DisconnectsTheClientWhenTheServerEnds) {
  auto ping = bootstrap();
  ping.pingRequest().send().wait(waitScope);
  server = nullptr;
  KJ_IF_MAYBE (exception,
               kj::runCatchingExceptions([&]() { ping.pingRequest().send().wait(waitScope); })) {
    EXPECT_EQ(exception->getType(), kj::Exception::Type::DISCONNECTED);
  } else {
    ADD_FAILURE() << "a call to a server that is gone returned";
  }
}

}  // namespace
}  // namespace shoal
