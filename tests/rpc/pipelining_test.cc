// Calls on what has not been returned yet.

#include "shoal/tests/rpc/service_test.h"

namespace shoal {
namespace {

using testing::HasSubstr;

class Pipelining : public ServiceTest {};

TEST_P(Pipelining, CallsACapabilityThatIsStillOnItsWay) {
  auto child = service.makeChildRequest().send().getChild();
  EXPECT_EQ(Echo(child, 1), 1);
}

TEST_P(Pipelining, CallsThroughSeveralLevelsOfWhatIsStillOnItsWay) {
  test::Service::Client deepest = service;
  for (int level = 0; level < 10; ++level) {
    deepest = deepest.makeChildRequest().send().getChild();
  }
  EXPECT_EQ(Echo(deepest, 2), 2);
}

TEST_P(Pipelining, CallsWaitUntilTheCallThatTheyDependOnHasReturned) {
  auto waiter = service.makeWaiterRequest().send().getWaiter();
  auto passing = SendPass(waiter, 1);
  uint64_t answer = 0;
  auto dependent = SendEcho(passing.getChild(), 3)
                       .then([&](auto response) { answer = response.getValue(); })
                       .eagerlyEvaluate(nullptr);
  Echo(0);
  EXPECT_EQ(answer, 0);
  SendOpen(1).wait(wait_scope());
  dependent.wait(wait_scope());
  EXPECT_EQ(answer, 3);
}

TEST_P(Pipelining, CallsOnACallThatFailsFailLikeIt) {
  auto request = service.failRequest();
  request.setType(test::Service::Failure::OVERLOADED);
  request.setText("no child today");
  auto child = request.send().getChild();
  const kj::Exception failure = FailureOfCall(SendEcho(child, 4));
  EXPECT_EQ(failure.getType(), kj::Exception::Type::OVERLOADED);
  EXPECT_THAT(TextOf(failure), HasSubstr("no child today"));
}

TEST_P(Pipelining, CallsThroughSeveralLevelsFailLikeTheFirst) {
  auto request = service.failRequest();
  request.setType(test::Service::Failure::UNIMPLEMENTED);
  request.setText("no child at all");
  auto grandchild =
      request.send().getChild().makeChildRequest().send().getChild().makeChildRequest().send();
  const kj::Exception failure = FailureOfCall(SendEcho(grandchild.getChild(), 5));
  EXPECT_EQ(failure.getType(), kj::Exception::Type::UNIMPLEMENTED);
  EXPECT_THAT(TextOf(failure), HasSubstr("no child at all"));
}

TEST_P(Pipelining, CallsOutliveThePromiseThatTheyDependOn) {
  auto waiter = service.makeWaiterRequest().send().getWaiter();
  auto dependent = [&] { return SendEcho(SendPass(waiter, 1).getChild(), 6); }();
  SendOpen(1).wait(wait_scope());
  EXPECT_EQ(dependent.wait(wait_scope()).getValue(), 6);
}

SHOAL_INSTANTIATE_RPC(Pipelining);

}  // namespace
}  // namespace shoal
