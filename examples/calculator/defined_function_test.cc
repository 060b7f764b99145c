#include "shoal/examples/calculator/defined_function.h"

#include <initializer_list>
#include <utility>
#include <variant>

#include "gtest/gtest.h"
#include "shoal/examples/calculator/answer.h"

namespace shoal::calculator {
namespace {

kj::Own<DefinedFunction> difference() {
  // difference(a, b) = a - b, whose steps are at positions 20, 21 and 22.
  auto function = kj::heap<DefinedFunction>("difference", 2);
  auto steps = function->getBody().initSteps(3);
  for (uint32_t i = 0; i < steps.size(); ++i) steps[i].setPosition(20 + i);
  steps[0].setParameter(0);
  steps[1].setParameter(1);
  steps[2].setOperator(Expression::Operator::SUBTRACT);
  return function;
}

class FunctionOfClient : public testing::Test {
 public:
  ~FunctionOfClient() noexcept override {}

 protected:
  Answer call(Function::Client function, std::initializer_list<double> arguments) {
    auto request = function.applyRequest();
    request.setPosition(7);
    request.setArguments(kj::arrayPtr(arguments.begin(), arguments.size()));
    return readAnswer(request.send().wait(waitScope).getOutcome());
  }

 private:
  kj::EventLoop loop;
  kj::WaitScope waitScope{loop};
};

TEST_F(FunctionOfClient, ComputesItsBodyWithTheArguments) {
  EXPECT_EQ(std::get<double>(call(difference(), {5, 3})), 2);
}

TEST_F(FunctionOfClient, CanBeCalledAgain) {
  Function::Client function = difference();
  EXPECT_EQ(std::get<double>(call(function, {5, 3})), 2);
  EXPECT_EQ(std::get<double>(call(function, {1, 4})), -3);
}

TEST_F(FunctionOfClient, CallsOtherFunctions) {
  auto function = kj::heap<DefinedFunction>("minus", 1);
  auto steps = function->getBody().initSteps(3);
  steps[0].setNumber(0);
  steps[1].setParameter(0);
  steps[2].initApplication().setFunction(difference());
  steps[2].getApplication().setArguments(2);

  EXPECT_EQ(std::get<double>(call(kj::mv(function), {5})), -5);
}

TEST_F(FunctionOfClient, SaysHowManyArgumentsItTakesAtThePositionOfTheCall) {
  auto problem = std::get<Problem>(call(difference(), {5}));
  EXPECT_EQ(problem.message, "wrong number of arguments: 'difference' takes 2, not 1");
  EXPECT_EQ(problem.position, 7u);
}

TEST_F(FunctionOfClient, SaysWhatIsWrongWithItsBodyAtThePositionInTheBody) {
  auto function = difference();
  function->getBody().getSteps()[1].setParameter(9);
  EXPECT_EQ(std::get<Problem>(call(kj::mv(function), {5, 3})).position, 21u);
}

}  // namespace
}  // namespace shoal::calculator
