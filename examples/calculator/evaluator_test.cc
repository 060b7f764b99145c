#include "shoal/examples/calculator/evaluator.h"

#include <cmath>
#include <initializer_list>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "capnp/message.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/debug.h"
#include "kj/function.h"

namespace shoal::calculator {
namespace {

using testing::HasSubstr;
using Operator = Expression::Operator;

class Sum final : public Function::Server {
  // Adds its arguments, on a later turn of the event loop.
 public:
  kj::Promise<void> apply(ApplyContext context) override {
    return kj::evalLater([context]() mutable {
      double sum = 0;
      for (double argument : context.getParams().getArguments()) sum += argument;
      context.getResults().getOutcome().setNumber(sum);
    });
  }
};

class Refusal final : public Function::Server {
  // Reports a problem at the position of the call.
 public:
  kj::Promise<void> apply(ApplyContext context) override {
    writeAnswer(Problem{context.getParams().getPosition(), "refused"},
                context.getResults().initOutcome());
    return kj::READY_NOW;
  }
};

class Failing final : public Function::Server {
 public:
  kj::Promise<void> apply(ApplyContext) override { return KJ_EXCEPTION(FAILED, "out of order"); }
};

class Constant final : public Value::Server {
 public:
  explicit Constant(Answer answer) : answer(kj::mv(answer)) {}
  kj::Promise<void> get(GetContext context) override {
    writeAnswer(answer, context.getResults().initOutcome());
    return kj::READY_NOW;
  }

 private:
  Answer answer;
};

class Steps {
  // An expression under construction; each step's position is 10 times its index.
 public:
  Steps& number(double number) {
    return add([=](auto step) mutable { step.setNumber(number); });
  }
  Steps& parameter(uint16_t index) {
    return add([=](auto step) mutable { step.setParameter(index); });
  }
  Steps& op(Operator op) {
    return add([=](auto step) mutable { step.setOperator(op); });
  }
  Steps& value(Value::Client value) {
    return add([=](auto step) mutable { step.setValue(value); });
  }
  Steps& apply(Function::Client function, uint16_t arguments) {
    return add([=](auto step) mutable {
      step.initApplication().setFunction(function);
      step.getApplication().setArguments(arguments);
    });
  }

  Answer evaluate(std::initializer_list<double> arguments = {}) {
    capnp::MallocMessageBuilder message;
    capnp::BuilderCapabilityTable capabilities;
    auto expression = capabilities.imbue(message.getRoot<capnp::AnyPointer>()).initAs<Expression>();
    auto list = expression.initSteps(steps.size());
    for (uint32_t i = 0; i < steps.size(); ++i) {
      list[i].setPosition(10 * i);
      steps[i](list[i]);
    }
    return calculator::evaluate(expression, kj::arrayPtr(arguments.begin(), arguments.size()))
        .wait(waitScope);
  }

 private:
  kj::EventLoop loop;
  kj::WaitScope waitScope{loop};
  std::vector<kj::Function<void(Expression::Step::Builder)>> steps;

  Steps& add(kj::Function<void(Expression::Step::Builder)> set) {
    steps.push_back(kj::mv(set));
    return *this;
  }
};

Problem problemOf(Answer answer) {
  if (auto* problem = std::get_if<Problem>(&answer)) return *problem;
  ADD_FAILURE() << "the answer is " << std::get<double>(answer) << " and not a problem";
  return {};
}

double numberOf(Answer answer) {
  if (auto* number = std::get_if<double>(&answer)) return *number;
  ADD_FAILURE() << "the answer is a problem: " << std::get<Problem>(answer).message;
  return 0;
}

TEST(Evaluator, AppliesEachOperatorToItsOperandsInOrder) {
  EXPECT_EQ(numberOf(Steps().number(7).number(2).op(Operator::ADD).evaluate()), 9);
  EXPECT_EQ(numberOf(Steps().number(7).number(2).op(Operator::SUBTRACT).evaluate()), 5);
  EXPECT_EQ(numberOf(Steps().number(7).number(2).op(Operator::MULTIPLY).evaluate()), 14);
  EXPECT_EQ(numberOf(Steps().number(7).number(2).op(Operator::DIVIDE).evaluate()), 3.5);
  EXPECT_EQ(numberOf(Steps().number(7).number(2).op(Operator::POWER).evaluate()), 49);
  EXPECT_EQ(numberOf(Steps().number(7).op(Operator::NEGATE).evaluate()), -7);
}

TEST(Evaluator, DividesByZeroAsIeee754Says) {
  EXPECT_EQ(numberOf(Steps().number(1).number(0).op(Operator::DIVIDE).evaluate()), INFINITY);
  EXPECT_TRUE(std::isnan(numberOf(Steps().number(0).number(0).op(Operator::DIVIDE).evaluate())));
}

TEST(Evaluator, GetsValues) {
  EXPECT_EQ(numberOf(Steps().value(kj::heap<Constant>(3.0)).evaluate()), 3);
}

TEST(Evaluator, AppliesFunctionsToTheTopOfTheStack) {
  Steps steps;
  steps.number(10).number(3).number(4).apply(kj::heap<Sum>(), 2).op(Operator::SUBTRACT);
  EXPECT_EQ(numberOf(steps.evaluate()), 3);
}

TEST(Evaluator, AppliesAFunctionToNothing) {
  EXPECT_EQ(numberOf(Steps().apply(kj::heap<Sum>(), 0).evaluate()), 0);
}

TEST(Evaluator, UsesTheArgumentsOfTheFunctionItIsTheBodyOf) {
  Steps steps;
  steps.parameter(1).parameter(0).op(Operator::DIVIDE);
  EXPECT_EQ(numberOf(steps.evaluate({2, 8})), 4);
}

TEST(Evaluator, AnswersWithTheProblemOfAValueAsItIs) {
  Steps steps;
  steps.number(1).value(kj::heap<Constant>(Problem{7, "broken"})).op(Operator::ADD);
  auto problem = problemOf(steps.evaluate());
  EXPECT_EQ(problem.message, "broken");
  EXPECT_EQ(problem.position, 7u);
}

TEST(Evaluator, TellsAFunctionWhereItIsCalled) {
  auto problem = problemOf(Steps().number(1).apply(kj::heap<Refusal>(), 1).evaluate());
  EXPECT_EQ(problem.message, "refused");
  EXPECT_EQ(problem.position, 10u);
}

TEST(Evaluator, IsRejectedWhenACallIs) {
  Steps steps;
  steps.apply(kj::heap<Failing>(), 0);
  EXPECT_THROW(steps.evaluate(), kj::Exception);
}

TEST(Evaluator, FindsAStackThatRunsEmpty) {
  auto problem = problemOf(Steps().number(1).op(Operator::ADD).evaluate());
  EXPECT_THAT(problem.message, HasSubstr("than there are: 2, not 1"));
  EXPECT_EQ(problem.position, 10u);
  EXPECT_THAT(problemOf(Steps().op(Operator::NEGATE).evaluate()).message,
              HasSubstr("than there are: 1, not 0"));
  EXPECT_THAT(problemOf(Steps().number(1).apply(kj::heap<Sum>(), 65535).evaluate()).message,
              HasSubstr("than there are: 65535, not 1"));
}

TEST(Evaluator, FindsAStackThatEndsWithMoreOrLessThanOneResult) {
  EXPECT_THAT(problemOf(Steps().number(1).number(2).evaluate()).message,
              HasSubstr("leaves 2 results"));
  EXPECT_THAT(problemOf(Steps().evaluate()).message, HasSubstr("leaves 0 results"));
}

TEST(Evaluator, FindsAParameterThatHasNoArgument) {
  auto problem = problemOf(Steps().parameter(2).evaluate({1, 2}));
  EXPECT_THAT(problem.message, HasSubstr("argument 2 is used where there are 2"));
}

TEST(Evaluator, FindsAnOperatorThatItDoesNotKnow) {
  Steps steps;
  steps.number(1).number(2).op(static_cast<Operator>(999));
  EXPECT_THAT(problemOf(steps.evaluate()).message, HasSubstr("does not know this kind of step"));
}

TEST(Evaluator, BoundsTheNumberOfSteps) {
  Steps steps;
  for (uint32_t i = 0; i <= MAX_STEPS; ++i) steps.number(i);
  auto problem = problemOf(steps.evaluate());
  EXPECT_THAT(problem.message, HasSubstr("it has 300001 steps, and may have 300000"));
  EXPECT_EQ(problem.position, 10u * MAX_STEPS);
}

TEST(Evaluator, NeedsNoCallStackForManyCalls) {
  Steps steps;
  Function::Client sum = kj::heap<Sum>();
  steps.number(0);
  for (uint32_t i = 0; i < 100'000; ++i) steps.apply(sum, 1);
  EXPECT_EQ(numberOf(steps.evaluate()), 0);
}

}  // namespace
}  // namespace shoal::calculator
