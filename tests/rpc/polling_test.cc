// Looking whether a call has returned, without waiting for it.

#include "shoal/tests/rpc/service_test.h"

namespace shoal {
namespace {

class Polling : public ServiceTest {};

TEST_P(Polling, ReturnsAlsoWhileThereIsNothingToReceive) {
  auto passing = SendPass(service.makeWaiterRequest().send().getWaiter(), 1);
  Echo(0);
  EXPECT_FALSE(passing.poll(wait_scope()));
  SendOpen(1).wait(wait_scope());
  EXPECT_EQ(passing.wait(wait_scope()).getGate(), 1);
}

SHOAL_INSTANTIATE_RPC(Polling);

}  // namespace
}  // namespace shoal
