// Exceptions cross the connection with their type and text, and harm nothing else.

#include <string>
#include <utility>

#include "shoal/tests/rpc/service_test.h"

namespace shoal {
namespace {

using Failure = test::Service::Failure;
using testing::HasSubstr;

constexpr std::pair<Failure, kj::Exception::Type> kTypes[] = {
    {Failure::FAILED, kj::Exception::Type::FAILED},
    {Failure::OVERLOADED, kj::Exception::Type::OVERLOADED},
    {Failure::DISCONNECTED, kj::Exception::Type::DISCONNECTED},
    {Failure::UNIMPLEMENTED, kj::Exception::Type::UNIMPLEMENTED},
};

class Exceptions : public ServiceTest {
 protected:
  template <typename Request>
  kj::Exception FailureOfRequest(Request request, Failure type, const std::string& text) {
    request.setType(type);
    request.setText(text.c_str());
    return FailureOfCall(request.send());
  }
};

TEST_P(Exceptions, ThatAServerRejectsWithKeepTheirTypesAndTexts) {
  for (const auto& [sent, expected] : kTypes) {
    const kj::Exception failure = FailureOfRequest(service.failRequest(), sent, "rejected so");
    EXPECT_EQ(failure.getType(), expected);
    EXPECT_THAT(TextOf(failure), HasSubstr("rejected so"));
    EXPECT_THAT(failure.getRemoteTrace().cStr(), HasSubstr("trace of rejected so"));
    EXPECT_EQ(Echo(1), 1);
  }
}

TEST_P(Exceptions, ThatAServerThrowsKeepTheirTypesAndTexts) {
  for (const auto& [sent, expected] : kTypes) {
    const kj::Exception failure = FailureOfRequest(service.throwKjRequest(), sent, "thrown so");
    EXPECT_EQ(failure.getType(), expected);
    EXPECT_THAT(TextOf(failure), HasSubstr("thrown so"));
    EXPECT_EQ(Echo(2), 2);
  }
}

TEST_P(Exceptions, OfTheStandardLibraryArriveAsFailedWithTheirText) {
  auto request = service.throwStandardRequest();
  request.setText("out of spoons");
  const kj::Exception failure = FailureOfCall(request.send());
  EXPECT_EQ(failure.getType(), kj::Exception::Type::FAILED);
  EXPECT_THAT(TextOf(failure), HasSubstr("out of spoons"));
  EXPECT_EQ(Echo(3), 3);
}

TEST_P(Exceptions, LargerThanAnySlotArriveWhole) {
  const std::string text = std::string(100'000, 'x') + "the end";
  EXPECT_THAT(TextOf(FailureOfRequest(service.failRequest(), Failure::FAILED, text)),
              HasSubstr(text));
}

TEST_P(Exceptions, OfAnObjectOfTheClientReachTheServerAndComeBack) {
  for (const auto& [sent, expected] : kTypes) {
    auto request = service.callFailRequest();
    request.setTarget(ServiceServer::Make(std::make_shared<ServiceState>()));
    const kj::Exception failure = FailureOfRequest(kj::mv(request), sent, "the client's own");
    EXPECT_EQ(failure.getType(), expected);
    EXPECT_THAT(TextOf(failure), HasSubstr("the client's own"));
  }
}

TEST_P(Exceptions, AMethodThatNobodyImplementsFailsAsUnimplemented) {
  const kj::Exception failure = FailureOfCall(service.missingRequest().send());
  EXPECT_EQ(failure.getType(), kj::Exception::Type::UNIMPLEMENTED);
  EXPECT_THAT(TextOf(failure), HasSubstr("missing"));
  EXPECT_EQ(Echo(4), 4);
}

TEST_P(Exceptions, AnInterfaceThatTheObjectDoesNotHaveFailsAsUnimplemented) {
  const kj::Exception failure = FailureOfCall(
      capnp::Capability::Client(service).castAs<test::Recorder>().readRequest().send());
  EXPECT_EQ(failure.getType(), kj::Exception::Type::UNIMPLEMENTED);
  EXPECT_EQ(Echo(5), 5);
}

TEST_P(Exceptions, OfOneCallLeaveTheOthersInFlightAlone) {
  auto waiter = service.makeWaiterRequest().send().getWaiter();
  auto passing = SendPass(waiter, 1);
  for (int i = 0; i < 100; ++i) {
    FailureOfRequest(service.throwKjRequest(), Failure::FAILED, "once more");
  }
  SendOpen(1).wait(wait_scope());
  EXPECT_EQ(passing.wait(wait_scope()).getGate(), 1);
}

SHOAL_INSTANTIATE_RPC(Exceptions);

}  // namespace
}  // namespace shoal
