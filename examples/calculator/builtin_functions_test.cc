#include "shoal/examples/calculator/builtin_functions.h"

#include <cmath>
#include <initializer_list>
#include <variant>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/examples/calculator/answer.h"

namespace shoal::calculator {
namespace {

using testing::HasSubstr;

class BuiltinFunctions : public testing::Test {
 public:
  ~BuiltinFunctions() noexcept override {}

 protected:
  Answer call(kj::StringPtr name, std::initializer_list<double> arguments) {
    auto request = builtinFunction(name).applyRequest();
    request.setPosition(7);
    request.setArguments(kj::arrayPtr(arguments.begin(), arguments.size()));
    return readAnswer(request.send().wait(waitScope).getOutcome());
  }

  double number(kj::StringPtr name, std::initializer_list<double> arguments) {
    return std::get<double>(call(name, arguments));
  }

  Problem problem(kj::StringPtr name, std::initializer_list<double> arguments) {
    return std::get<Problem>(call(name, arguments));
  }

 private:
  kj::EventLoop loop;
  kj::WaitScope waitScope{loop};
};

TEST_F(BuiltinFunctions, ComputeWhatTheirNamesSay) {
  EXPECT_EQ(number("abs", {-3}), 3);
  EXPECT_EQ(number("atan", {1}), std::atan(1));
  EXPECT_EQ(number("ceil", {1.2}), 2);
  EXPECT_EQ(number("cos", {2}), std::cos(2));
  EXPECT_EQ(number("exp", {2}), std::exp(2));
  EXPECT_EQ(number("floor", {1.8}), 1);
  EXPECT_EQ(number("ln", {2}), std::log(2));
  EXPECT_EQ(number("log10", {1000}), 3);
  EXPECT_EQ(number("max", {1, 3, 2}), 3);
  EXPECT_EQ(number("min", {2, 1, 3}), 1);
  EXPECT_EQ(number("round", {1.6}), 2);
  EXPECT_EQ(number("sin", {2}), std::sin(2));
  EXPECT_EQ(number("sqrt", {16}), 4);
  EXPECT_EQ(number("tan", {2}), std::tan(2));
}

TEST_F(BuiltinFunctions, AnswerNanWhereThereIsNoRealValue) {
  EXPECT_TRUE(std::isnan(number("sqrt", {-1})));
}

TEST_F(BuiltinFunctions, SayHowManyArgumentsTheyTakeAtThePositionOfTheCall) {
  EXPECT_EQ(problem("sqrt", {1, 2}).message, "wrong number of arguments: 'sqrt' takes 1, not 2");
  EXPECT_EQ(problem("sqrt", {1, 2}).position, 7u);
  EXPECT_EQ(problem("max", {}).message, "wrong number of arguments: 'max' takes 1 or more, not 0");
}

TEST_F(BuiltinFunctions, SayWhichNamesAreKnownWhenOneIsNot) {
  EXPECT_THAT(problem("sqr", {1}).message, HasSubstr("there is no function 'sqr'"));
  EXPECT_THAT(problem("sqr", {1}).message, HasSubstr("abs, atan, ceil"));
  EXPECT_EQ(problem("sqr", {1}).position, 7u);
}

}  // namespace
}  // namespace shoal::calculator
