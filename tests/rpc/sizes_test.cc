// Messages of all sizes, and those beyond the limit.

#include <algorithm>
#include <cstring>

#include "shoal/tests/rpc/service_test.h"

namespace shoal {
namespace {

using testing::HasSubstr;

constexpr uint64_t kMegabyte = 1 << 20;

// capnp::ReaderOptions::traversalLimitInWords is 64 MiB, on both sides, and bounds a message.
constexpr uint64_t kTooMuch = 65 * kMegabyte;

class Sizes : public ServiceTest {
 protected:
  auto SendFill(uint64_t bytes, uint8_t value) {
    auto request = service.fillRequest();
    request.setBytes(bytes);
    request.setValue(value);
    return request.send();
  }

  auto SendSum(uint64_t bytes, uint8_t value) {
    auto request = service.sumRequest();
    auto data = request.initData(bytes);
    memset(data.begin(), value, data.size());
    return request.send();
  }

  static uint64_t CountOf(capnp::Data::Reader data, uint8_t value) {
    return std::count(data.begin(), data.end(), value);
  }
};

TEST_P(Sizes, ParametersAndAnswersOfEverySizeAroundTheSlotsArriveWhole) {
  for (uint64_t bytes = 0; bytes < 1024; bytes += 8) {
    ASSERT_EQ(SendSum(bytes, 1).wait(wait_scope()).getTotal(), bytes);
    auto response = SendFill(bytes, 2).wait(wait_scope());
    ASSERT_EQ(CountOf(response.getData(), 2), bytes);
  }
}

TEST_P(Sizes, ParametersLargerThanTheWholeOutboxArriveWhole) {
  EXPECT_EQ(SendSum(20 * kMegabyte, 3).wait(wait_scope()).getTotal(), 3 * 20 * kMegabyte);
}

TEST_P(Sizes, TwoHundredMegabyteAnswersThatAreHeldAllAtOnceArriveWhole) {
  std::vector<capnp::RemotePromise<test::Service::FillResults>> calls;
  for (int i = 0; i < 200; ++i) {
    calls.push_back(SendFill(kMegabyte, static_cast<uint8_t>(i)));
  }
  std::vector<capnp::Response<test::Service::FillResults>> held;
  for (auto& call : calls) {
    held.push_back(call.wait(wait_scope()));
  }
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(held[i].getData().size(), kMegabyte);
    ASSERT_EQ(CountOf(held[i].getData(), static_cast<uint8_t>(i)), kMegabyte) << i;
  }
  EXPECT_EQ(Echo(7), 7);
}

TEST_P(Sizes, ParametersBeyondTheLimitAreRefusedAndTheConnectionLivesOn) {
  auto child = service.makeChildRequest().send().wait(wait_scope()).getChild();
  const kj::Exception failure = FailureOfCall(SendSum(kTooMuch, 1));
  EXPECT_THAT(TextOf(failure), HasSubstr("traversalLimitInWords"));
  EXPECT_EQ(Echo(child, 8), 8);
}

TEST_P(Sizes, AnAnswerBeyondTheLimitIsRefusedAndTheConnectionLivesOn) {
  auto child = service.makeChildRequest().send().wait(wait_scope()).getChild();
  const kj::Exception failure = FailureOfCall(SendFill(kTooMuch, 1));
  EXPECT_THAT(TextOf(failure), HasSubstr("traversalLimitInWords"));
  EXPECT_EQ(Echo(child, 9), 9);
}

SHOAL_INSTANTIATE_RPC(Sizes);

}  // namespace
}  // namespace shoal
