#include "shoal/examples/calculator/submit.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "capnp/rpc-twoparty.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/async-io.h"
#include "shoal/examples/calculator/held_calculator.h"

namespace shoal::calculator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Connection {
  // A calculator that answers no call before `calls` have arrived, and a client of it.
 public:
  explicit Connection(uint32_t calls)
      : server(kj::heap<HeldCalculator>(
            calls, [this](kj::StringPtr call) { arrived.emplace_back(call.cStr()); })) {}

  std::vector<std::string> arrived;  // the calls that the calculator has received

  kj::Promise<Answer> start(std::string_view text) {
    return submit(std::get<Program>(ParseProgram(text)), client.bootstrap().castAs<Calculator>());
  }

  void endCalculator() {
    accepted = nullptr;
    pipe.ends[0] = nullptr;
  }

 private:
  kj::TwoWayPipe pipe = kj::newTwoWayPipe();
  capnp::TwoPartyServer server;
  kj::Promise<void> accepted = server.accept(*pipe.ends[0]);
  capnp::TwoPartyClient client{*pipe.ends[1]};
};

class Submit : public testing::Test {
 public:
  ~Submit() noexcept override {}

 protected:
  kj::EventLoop loop;
  kj::WaitScope waitScope{loop};

  Answer answer(std::string_view text) { return Connection(0).start(text).wait(waitScope); }
  double number(std::string_view text) { return std::get<double>(answer(text)); }
  Problem problem(std::string_view text) { return std::get<Problem>(answer(text)); }
};

TEST_F(Submit, ComputesAnExpression) { EXPECT_EQ(number("2 ^ (3 + 4) * sqrt(16)"), 512); }

TEST_F(Submit, ComputesWithDefinedValues) {
  EXPECT_EQ(number("let a = sqrt(16); let b = a + 1; b * a"), 20);
}

TEST_F(Submit, ComputesWithDefinedFunctions) {
  EXPECT_EQ(number("let sq(x) = x * x; sq(3) + 1"), 10);
}

TEST_F(Submit, ComputesWithDefinedFunctionsThatUseOtherDefinitions) {
  EXPECT_EQ(number("let k = 2; let sq(x) = x ^ k; let hyp(a, b) = sqrt(sq(a) + sq(b)); hyp(3, 4)"),
            5);
}

TEST_F(Submit, StartsAllCallsBeforeTheFirstIsAnswered) {
  Connection connection(100);
  auto promise = connection.start("let a = sqrt(16); let b = a + 1; b * a");

  EXPECT_FALSE(promise.poll(waitScope));
  EXPECT_THAT(connection.arrived, ElementsAre("lookUp", "compute", "compute", "compute"));
}

TEST_F(Submit, LooksUpAFunctionOnce) {
  Connection connection(0);
  EXPECT_EQ(std::get<double>(connection.start("sqrt(16) + sqrt(sqrt(16))").wait(waitScope)), 6);
  EXPECT_THAT(connection.arrived, ElementsAre("lookUp", "compute"));
}

TEST_F(Submit, DoesNotLookUpAFunctionThatItDefines) {
  Connection connection(0);
  EXPECT_EQ(std::get<double>(connection.start("let sqrt(x) = x; sqrt(16)").wait(waitScope)), 16);
  EXPECT_THAT(connection.arrived, ElementsAre("compute"));
}

TEST_F(Submit, SaysWhereAFunctionIsUnknown) {
  auto problem = this->problem("1 + sqr(2)");
  EXPECT_EQ(problem.position, 4u);
  EXPECT_THAT(problem.message, HasSubstr("there is no function 'sqr'"));
}

TEST_F(Submit, SaysWhereAFunctionIsUnknownInTheBodyOfAnother) {
  auto problem = this->problem("let f(x) = 1 + sqr(x); f(2)");
  EXPECT_EQ(problem.position, 15u);
  EXPECT_THAT(problem.message, HasSubstr("there is no function 'sqr'"));
}

TEST_F(Submit, SaysWhereTheNumberOfArgumentsIsWrong) {
  EXPECT_EQ(problem("1 + sqrt(2, 3)").position, 4u);
}

TEST_F(Submit, SaysWhereTheNumberOfArgumentsOfADefinedFunctionIsWrong) {
  auto problem = this->problem("let f(x) = x; 1 + f(2, 3)");
  EXPECT_EQ(problem.position, 18u);
  EXPECT_EQ(problem.message, "wrong number of arguments: 'f' takes 1, not 2");
}

TEST_F(Submit, SaysWhereAValueThatTheResultNeedsWentWrong) {
  EXPECT_EQ(problem("let a = sqr(2); let b = a; b").position, 8u);
}

TEST_F(Submit, IsRejectedWhenTheCalculatorGoesAway) {
  Connection connection(100);
  auto promise = connection.start("1 + 2");
  EXPECT_FALSE(promise.poll(waitScope));
  connection.endCalculator();

  auto exception = kj::runCatchingExceptions([&]() { promise.wait(waitScope); });

  KJ_IF_MAYBE (e, exception) {
    EXPECT_EQ(e->getType(), kj::Exception::Type::DISCONNECTED);
  } else {
    ADD_FAILURE() << "it was answered";
  }
}

}  // namespace
}  // namespace shoal::calculator
