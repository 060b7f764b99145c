// Many calls at once, slow servers, and answers out of order.
//
// SHOAL_RPC_ROUNDS in the environment says how often the rounds are repeated: 4 unless it is set.
// The long form is
//     bazel test --test_env=SHOAL_RPC_ROUNDS=400 //tests/rpc:load_test

#include <signal.h>

#include <cstdlib>
#include <numeric>

#include "shoal/tests/rpc/service_test.h"

namespace shoal {
namespace {

using Calls = std::vector<capnp::RemotePromise<test::Echoed>>;

int Rounds() {
  const char* rounds = getenv("SHOAL_RPC_ROUNDS");
  return rounds == nullptr ? 4 : atoi(rounds);
}

class Load : public ServiceTest {
 protected:
  Calls SendEchoes(uint64_t begin, uint64_t end) {
    Calls calls;
    for (uint64_t value = begin; value < end; ++value) {
      calls.push_back(SendEcho(service, value));
    }
    return calls;
  }

  void ExpectOwnAnswers(Calls& calls, uint64_t begin) {
    for (auto& call : calls) {
      ASSERT_EQ(call.wait(wait_scope()).getValue(), begin++);
    }
  }
};

TEST_P(Load, EachOfManyCallsInTurnGetsItsOwnAnswer) {
  for (uint64_t value = 0; value < 200; ++value) {
    ASSERT_EQ(Echo(value), value);
  }
}

TEST_P(Load, EachOf512CallsInFlightGetsItsOwnAnswerInEveryRound) {
  for (int round = 0; round < Rounds(); ++round) {
    const uint64_t begin = uint64_t{512} * round;
    Calls calls = SendEchoes(begin, begin + 512);
    ExpectOwnAnswers(calls, begin);
  }
}

TEST_P(Load, AnswersComeInTheOrderInWhichTheServerGivesThem) {
  constexpr uint64_t kCalls = 100;
  auto waiter = service.makeWaiterRequest().send().getWaiter();
  RecordedValues answered;
  std::vector<kj::Promise<void>> calls;
  for (uint64_t gate = 0; gate < kCalls; ++gate) {
    calls.push_back(SendPass(waiter, gate)
                        .then([&](auto response) { answered.push_back(response.getGate()); })
                        .eagerlyEvaluate(nullptr));
  }
  RecordedValues backwards(kCalls);
  std::iota(backwards.rbegin(), backwards.rend(), 0);
  for (const uint64_t gate : backwards) {
    SendOpen(gate).wait(wait_scope());
  }
  for (auto& call : calls) {
    call.wait(wait_scope());
  }
  EXPECT_EQ(answered, backwards);
}

TEST_P(Load, ACallThatTakesLongHoldsUpNoOther) {
  uint64_t passed = 0;
  auto slow = SendPass(service.makeWaiterRequest().send().getWaiter(), 1)
                  .then([&](auto response) { passed = response.getGate(); })
                  .eagerlyEvaluate(nullptr);
  Calls calls = SendEchoes(0, 1000);
  ExpectOwnAnswers(calls, 0);
  EXPECT_EQ(passed, 0);
  SendOpen(1).wait(wait_scope());
  slow.wait(wait_scope());
  EXPECT_EQ(passed, 1);
}

TEST_P(Load, CallsToAServerThatStandsStillWaitUntilItGoesOn) {
  Echo(0);
  server.Signal(SIGSTOP);
  Calls calls = SendEchoes(0, 2000);
  auto request = service.sumRequest();
  request.initData(20 << 20)[0] = 1;
  auto large = request.send();
  server.Signal(SIGCONT);
  ExpectOwnAnswers(calls, 0);
  EXPECT_EQ(large.wait(wait_scope()).getTotal(), 1);
}

SHOAL_INSTANTIATE_RPC(Load);

}  // namespace
}  // namespace shoal
