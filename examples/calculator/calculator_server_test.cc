#include "shoal/examples/calculator/calculator_server.h"

#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/examples/calculator/answer.h"

namespace shoal::calculator {
namespace {

class Sum final : public Function::Server {
  // Adds its arguments, which is no function of the calculator.
 public:
  kj::Promise<void> apply(ApplyContext context) override {
    double sum = 0;
    for (double argument : context.getParams().getArguments()) sum += argument;
    context.getResults().initOutcome().setNumber(sum);
    return kj::READY_NOW;
  }
};

class Unanswered final : public Function::Server {
 public:
  kj::Promise<void> apply(ApplyContext) override { return kj::NEVER_DONE; }
};

class ServerOfCalculator : public testing::Test {
 public:
  ~ServerOfCalculator() noexcept override {}

 protected:
  kj::EventLoop loop;
  kj::WaitScope waitScope{loop};
  Calculator::Client calculator = kj::heap<CalculatorServer>();

  Function::Client lookUp(kj::StringPtr name) {
    auto request = calculator.lookUpRequest();
    request.setName(name);
    return request.send().getFunction();
  }

  Value::Client apply(Function::Client function, double argument) {
    auto request = calculator.computeRequest();
    auto steps = request.initExpression().initSteps(2);
    steps[0].setNumber(argument);
    steps[1].initApplication().setFunction(kj::mv(function));
    steps[1].getApplication().setArguments(1);
    return request.send().getValue();
  }

  Value::Client negate(Value::Client value) {
    auto request = calculator.computeRequest();
    auto steps = request.initExpression().initSteps(2);
    steps[0].setValue(kj::mv(value));
    steps[1].setOperator(Expression::Operator::NEGATE);
    return request.send().getValue();
  }

  Answer get(Value::Client value) {
    return readAnswer(value.getRequest().send().wait(waitScope).getOutcome());
  }
};

TEST_F(ServerOfCalculator, ComputesWithItsOwnFunctions) {
  EXPECT_EQ(std::get<double>(get(apply(lookUp("sqrt"), 16))), 4);
}

TEST_F(ServerOfCalculator, ComputesWithItsCallersFunctions) {
  EXPECT_EQ(std::get<double>(get(apply(kj::heap<Sum>(), 16))), 16);
}

TEST_F(ServerOfCalculator, ComputesWithValuesThatItHasNotComputedYet) {
  EXPECT_EQ(std::get<double>(get(negate(negate(negate(apply(lookUp("sqrt"), 16)))))), -4);
}

TEST_F(ServerOfCalculator, SaysWhatIsWrongWhenTheValueIsAskedFor) {
  auto problem = std::get<Problem>(get(negate(apply(lookUp("squirt"), 16))));
  EXPECT_THAT(problem.message, testing::HasSubstr("there is no function 'squirt'"));
}

TEST_F(ServerOfCalculator, RefusesAnExpressionWhenTooManyAreUnderWay) {
  Function::Client unanswered = kj::heap<Unanswered>();
  std::vector<Value::Client> values;
  for (uint32_t i = 0; i < MAX_UNFINISHED; ++i) values.push_back(apply(unanswered, i));

  auto exception = kj::runCatchingExceptions([&]() { get(apply(lookUp("sqrt"), 16)); });

  KJ_IF_MAYBE (e, exception) {
    EXPECT_EQ(e->getType(), kj::Exception::Type::OVERLOADED);
    EXPECT_THAT(e->getDescription().cStr(), testing::HasSubstr("MAX_UNFINISHED = 1000"));
  } else {
    ADD_FAILURE() << "it was computed";
  }
}

TEST_F(ServerOfCalculator, CountsAnExpressionNoLongerWhenItIsComputed) {
  for (uint32_t i = 0; i <= MAX_UNFINISHED; ++i) get(apply(lookUp("sqrt"), 16));
  EXPECT_EQ(std::get<double>(get(apply(lookUp("sqrt"), 16))), 4);
}

}  // namespace
}  // namespace shoal::calculator
