// Calls on one capability arrive in the order in which they were made (E-order), also while the
// promise that it is resolves, and resolves to an object of the caller's own.

#include <numeric>

#include "shoal/tests/rpc/service_test.h"

namespace shoal {
namespace {

using testing::HasSubstr;

RecordedValues UpTo(uint64_t end) {
  RecordedValues values(end);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

class Order : public ServiceTest {
 protected:
  test::Recorder::Client OwnRecorder() { return kj::heap<RecorderServer>(recorded); }

  // Makes the calls of which the first appends `begin` and the last one less than `end`.
  void Append(test::Recorder::Client& recorder, uint64_t begin, uint64_t end) {
    for (uint64_t value = begin; value < end; ++value) {
      calls.push_back(SendAppend(recorder, value));
    }
  }

  void FinishCalls() {
    for (kj::Promise<void>& call : calls) {
      call.wait(wait_scope());
    }
    calls.clear();
  }

  RecordedValues ValuesOf(test::Recorder::Client recorder) {
    auto response = recorder.readRequest().send().wait(wait_scope());
    RecordedValues values;
    for (const uint64_t value : response.getValues()) {
      values.push_back(value);
    }
    return values;
  }

  auto SendSettle(test::Recorder::Client recorder) {
    auto request = service.settleRequest();
    request.setRecorder(recorder);
    return request.send();
  }

  const std::shared_ptr<RecordedValues> recorded = std::make_shared<RecordedValues>();
  std::vector<kj::Promise<void>> calls;
};

TEST_P(Order, CallsArriveInTheOrderInWhichTheyWereMadeWhateverTheirSizes) {
  auto recorder = service.makeRecorderRequest().send().getRecorder();
  const size_t sizes[] = {0, 100'000, 300, 3'000, 0, 20'000};
  for (uint64_t value = 0; value < 600; ++value) {
    calls.push_back(SendAppend(recorder, value, sizes[value % std::size(sizes)]));
  }
  FinishCalls();
  EXPECT_EQ(ValuesOf(recorder), UpTo(600));
}

TEST_P(Order, AnswersArriveInTheOrderInWhichTheyWereGivenWhateverTheirSizes) {
  const size_t sizes[] = {0, 100'000, 300, 3'000, 0, 20'000};
  for (uint64_t value = 0; value < 600; ++value) {
    auto request = service.fillRequest();
    request.setBytes(sizes[value % std::size(sizes)]);
    calls.push_back(request.send()
                        .then([this, value](auto) { recorded->push_back(value); })
                        .eagerlyEvaluate(nullptr));
  }
  FinishCalls();
  EXPECT_EQ(*recorded, UpTo(600));
}

TEST_P(Order, CallsOnAPipelinedCapabilityThatIsTheCallersOwnStayInOrder) {
  auto request = service.giveBackRequest();
  request.setRecorder(OwnRecorder());
  auto promise = request.send();
  auto returned = promise.getRecorder();
  Append(returned, 0, 5);
  promise.wait(wait_scope());
  Append(returned, 5, 10);
  FinishCalls();
  Append(returned, 10, 15);
  FinishCalls();
  EXPECT_EQ(*recorded, UpTo(15));
}

TEST_P(Order, CallsOnAPromisedCapabilityThatResolvesToTheCallersOwnStayInOrder) {
  auto promised = service.promiseRequest().send().wait(wait_scope()).getRecorder();
  auto settled = SendSettle(OwnRecorder());
  Append(promised, 0, 200);  // on their way to the server and back when the promise resolves
  for (uint64_t value = 200; value < 300; ++value) {
    kj::evalLast([] {}).wait(wait_scope());
    Append(promised, value, value + 1);
  }
  settled.wait(wait_scope());
  promised.whenResolved().wait(wait_scope());
  Append(promised, 300, 305);
  FinishCalls();
  EXPECT_EQ(*recorded, UpTo(305));
}

TEST_P(Order, CallsOnAPromisedCapabilityThatResolvesToTheServersOwnStayInOrder) {
  auto recorder = service.makeRecorderRequest().send().getRecorder();
  auto promised = service.promiseRequest().send().wait(wait_scope()).getRecorder();
  Append(promised, 0, 5);
  auto settled = SendSettle(recorder);
  Append(promised, 5, 10);
  settled.wait(wait_scope());
  promised.whenResolved().wait(wait_scope());
  Append(promised, 10, 15);
  FinishCalls();
  EXPECT_EQ(ValuesOf(recorder), UpTo(15));
}

TEST_P(Order, CallsOnAPromisedCapabilityWaitUntilItIsThere) {
  auto promised = service.promiseRequest().send().getRecorder();
  bool returned = false;
  auto call = SendAppend(promised, 0).then([&] { returned = true; }).eagerlyEvaluate(nullptr);
  Echo(0);
  EXPECT_FALSE(returned);
  SendSettle(OwnRecorder()).wait(wait_scope());
  call.wait(wait_scope());
  EXPECT_EQ(*recorded, UpTo(1));
}

TEST_P(Order, CallsOnAPromisedCapabilityThatIsAbandonedFailLikeThePromise) {
  auto promised = service.promiseRequest().send().wait(wait_scope()).getRecorder();
  auto before = SendAppend(promised, 0);
  auto request = service.abandonRequest();
  request.setText("no recorder today");
  request.send().wait(wait_scope());
  EXPECT_EQ(FailureOfCall(promised.whenResolved()).getType(), kj::Exception::Type::OVERLOADED);
  EXPECT_THAT(TextOf(FailureOfCall(before)), HasSubstr("no recorder today"));
  EXPECT_THAT(TextOf(FailureOfCall(SendAppend(promised, 1))), HasSubstr("no recorder today"));
}

SHOAL_INSTANTIATE_RPC(Order);

}  // namespace
}  // namespace shoal
