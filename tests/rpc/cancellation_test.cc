// Calls that their callers drop.

#include "shoal/tests/rpc/service_test.h"

namespace shoal {
namespace {

class Cancellation : public ServiceTest {
 protected:
  Cancellation() = default;
  ~Cancellation() noexcept override {}

  bool ComesToWait(uint64_t calls) {
    return Eventually([&] { return Census().getWaiting() == calls; });
  }

  test::Waiter::Client waiter = service.makeWaiterRequest().send().getWaiter();
  test::Waiter::Client cancelable = service.makeCancelableWaiterRequest().send().getWaiter();
};

TEST_P(Cancellation, DroppingACallCancelsItWhereTheServerAllowsThat) {
  {
    auto call = SendPass(cancelable, 1);
    ASSERT_TRUE(ComesToWait(1));
  }
  EXPECT_TRUE(ComesToWait(0));
  EXPECT_EQ(Census().getPassed(), 0);
}

TEST_P(Cancellation, DroppingACallLetsItRunOnWhereTheServerDoesNotAllowThat) {
  {
    auto call = SendPass(waiter, 1);
    ASSERT_TRUE(ComesToWait(1));
  }
  for (uint64_t i = 0; i < 10; ++i) {
    Echo(i);
  }
  EXPECT_EQ(Census().getWaiting(), 1);
  SendOpen(1).wait(wait_scope());
  EXPECT_TRUE(Eventually([&] { return Census().getPassed() == 1; }));
}

TEST_P(Cancellation, DroppingOneCallLeavesTheOthersAlone) {
  auto first = SendPass(cancelable, 1);
  {
    auto second = SendPass(cancelable, 1);
    ASSERT_TRUE(ComesToWait(2));
  }
  ASSERT_TRUE(ComesToWait(1));
  SendOpen(1).wait(wait_scope());
  EXPECT_EQ(first.wait(wait_scope()).getGate(), 1);
}

TEST_P(Cancellation, ACallThatIsDroppedBeforeItWasReceivedIsCanceledToo) {
  for (int i = 0; i < 100; ++i) {
    SendPass(cancelable, 1);
  }
  EXPECT_TRUE(ComesToWait(0));
  EXPECT_EQ(Census().getPassed(), 0);
}

TEST_P(Cancellation, ACallGoesOnAsLongAsSomethingPipelinedOnItIsWanted) {
  auto dependent = [&] { return SendEcho(SendPass(cancelable, 1).getChild(), 7); }();
  ASSERT_TRUE(ComesToWait(1));
  Echo(0);
  EXPECT_EQ(Census().getWaiting(), 1);
  SendOpen(1).wait(wait_scope());
  EXPECT_EQ(dependent.wait(wait_scope()).getValue(), 7);
}

TEST_P(Cancellation, AClientThatLeavesCancelsItsCalls) {
  {
    auto leaving = Connect();
    auto call = SendPass(
        leaving->getMain<test::Service>().makeCancelableWaiterRequest().send().getWaiter(), 1);
    ASSERT_TRUE(ComesToWait(1));
  }
  EXPECT_TRUE(ComesToWait(0));
}

SHOAL_INSTANTIATE_RPC(Cancellation);

}  // namespace
}  // namespace shoal
