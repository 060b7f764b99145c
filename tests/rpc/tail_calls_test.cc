// Methods that return what another object returns (context.tailCall).

#include "shoal/tests/rpc/service_test.h"

namespace shoal {
namespace {

using testing::HasSubstr;

class TailCalls : public ServiceTest {
 protected:
  uint64_t TailEcho(test::Service::Client target, uint64_t value) {
    auto request = service.tailEchoRequest();
    request.setTarget(target);
    request.setValue(value);
    return request.send().wait(wait_scope()).getValue();
  }

  auto SendTailMakeChild(test::Service::Client target) {
    auto request = service.tailMakeChildRequest();
    request.setTarget(target);
    return request.send();
  }

  auto SendTailFail(test::Service::Client target) {
    auto request = service.tailFailRequest();
    request.setTarget(target);
    request.setType(test::Service::Failure::OVERLOADED);
    request.setText("the last one fails");
    return request.send();
  }

  test::Service::Client OwnService() { return ServiceServer::Make(own); }

  const std::shared_ptr<ServiceState> own = std::make_shared<ServiceState>();
};

TEST_P(TailCalls, ReturnWhatAnotherObjectOfTheServerReturns) {
  EXPECT_EQ(TailEcho(service.makeChildRequest().send().getChild(), 1), 1);
}

TEST_P(TailCalls, ReturnWhatAnObjectOfTheCallerReturns) { EXPECT_EQ(TailEcho(OwnService(), 2), 2); }

TEST_P(TailCalls, ReturnACapabilityOfTheServerThatCanBeCalledBeforeItIsThere) {
  auto child = service.makeChildRequest().send().getChild();
  EXPECT_EQ(Echo(SendTailMakeChild(child).getChild(), 3), 3);
}

TEST_P(TailCalls, ReturnACapabilityOfTheCallerThatCanBeCalledBeforeItIsThere) {
  auto promise = SendTailMakeChild(OwnService());
  auto child = promise.getChild();
  auto early = SendEcho(child, 4);
  promise.wait(wait_scope());
  EXPECT_EQ(own->services, 2);
  EXPECT_EQ(Echo(child, 5), 5);
  EXPECT_EQ(early.wait(wait_scope()).getValue(), 4);
}

TEST_P(TailCalls, FailLikeTheObjectOfTheServerThatTheyCall) {
  const kj::Exception failure =
      FailureOfCall(SendTailFail(service.makeChildRequest().send().getChild()));
  EXPECT_EQ(failure.getType(), kj::Exception::Type::OVERLOADED);
  EXPECT_THAT(TextOf(failure), HasSubstr("the last one fails"));
}

TEST_P(TailCalls, FailLikeTheObjectOfTheCallerThatTheyCall) {
  const kj::Exception failure = FailureOfCall(SendTailFail(OwnService()));
  EXPECT_EQ(failure.getType(), kj::Exception::Type::OVERLOADED);
  EXPECT_THAT(TextOf(failure), HasSubstr("the last one fails"));
}

TEST_P(TailCalls, ThatReturnToTheCallerDirectlyNeedNothingOfTheServersAfterwards) {
  auto child = SendTailMakeChild(OwnService()).wait(wait_scope()).getChild();
  server.Kill();
  EXPECT_EQ(Echo(child, 6), 6);
}

SHOAL_INSTANTIATE_RPC(TailCalls);

}  // namespace
}  // namespace shoal
