// Calls on a connection that is gone.

#include "shoal/tests/rpc/service_test.h"

namespace shoal {
namespace {

constexpr auto kDisconnected = kj::Exception::Type::DISCONNECTED;

class Disconnects : public ServiceTest {};

TEST_P(Disconnects, CallsAfterTheServerDiedFailAsDisconnected) {
  auto child = service.makeChildRequest().send().wait(wait_scope()).getChild();
  server.Kill();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(FailureOfCall(SendEcho(service, 1)).getType(), kDisconnected);
    EXPECT_EQ(FailureOfCall(SendEcho(child, 2)).getType(), kDisconnected);
  }
}

TEST_P(Disconnects, PipelinedCallsAfterTheServerDiedFailAsDisconnected) {
  Echo(1);
  server.Kill();
  auto child = service.makeChildRequest().send().getChild();
  EXPECT_EQ(FailureOfCall(SendEcho(child, 2)).getType(), kDisconnected);
}

TEST_P(Disconnects, CallsThatWaitForAPromiseOfADeadServerFailAsDisconnected) {
  auto promised = service.promiseRequest().send().wait(wait_scope()).getRecorder();
  auto call = SendAppend(promised, 1);
  Echo(1);
  server.Kill();
  EXPECT_EQ(FailureOfCall(call).getType(), kDisconnected);
  EXPECT_EQ(FailureOfCall(promised.whenResolved()).getType(), kDisconnected);
}

TEST_P(Disconnects, TheMainInterfaceOfADeadServerFailsAsDisconnectedWhenItIsAskedForAgain) {
  Echo(1);
  server.Kill();
  FailureOfCall(SendEcho(service, 2));
  const kj::Exception failure =
      FailureOf([&] { SendEcho(client->getMain<test::Service>(), 3).wait(wait_scope()); });
  EXPECT_EQ(failure.getType(), kDisconnected) << TextOf(failure);
}

TEST_P(Disconnects, CallsAfterTheClientIsGoneFailAsDisconnected) {
  auto leaving = Connect();
  auto child = leaving->getMain<test::Service>().makeChildRequest().send().wait(wait_scope());
  auto pending =
      SendPass(leaving->getMain<test::Service>().makeWaiterRequest().send().getWaiter(), 1);
  leaving = nullptr;
  EXPECT_EQ(FailureOfCall(SendEcho(child.getChild(), 1)).getType(), kDisconnected);
  EXPECT_EQ(FailureOfCall(pending).getType(), kDisconnected);
}

TEST_P(Disconnects, CallsOfTheServerToAClientThatIsGoneFailAsDisconnected) {
  {
    auto leaving = Connect();
    auto request = leaving->getMain<test::Service>().keepRequest();
    request.setTarget(ServiceServer::Make(std::make_shared<ServiceState>()));
    request.send().wait(wait_scope());
    auto call = service.callKeptRequest();
    call.setValue(1);
    EXPECT_EQ(call.send().wait(wait_scope()).getValue(), 1);
  }
  EXPECT_EQ(FailureOfCall(service.callKeptRequest().send()).getType(), kDisconnected);
  EXPECT_EQ(Echo(2), 2);
}

SHOAL_INSTANTIATE_RPC(Disconnects);

}  // namespace
}  // namespace shoal
