#include "shoal/examples/calculator/expression.h"

#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace shoal::calculator {
namespace {

using testing::HasSubstr;

struct Writer {
  std::string operator()(double number) const { return absl::StrCat(number); }
  std::string operator()(Parameter parameter) const { return absl::StrCat("$", parameter.index); }
  std::string operator()(DefinedValue value) const { return absl::StrCat("#", value.index); }
  std::string operator()(Expression::Operator op) const {
    return std::string(1, "+-*/^~"[static_cast<int>(op)]);
  }
  std::string operator()(const Application& call) const {
    const std::string name = call.definition ? absl::StrCat("#", *call.definition) : call.name;
    return absl::StrCat(name, "/", call.arguments);
  }
};

// Steps in postfix notation: ~ negates, $ is a parameter, # a definition, f/2 a call.
std::string Postfix(const std::vector<Step>& steps) {
  return absl::StrJoin(steps, " ", [](std::string* out, const Step& step) {
    out->append(std::visit(Writer(), step.action));
  });
}

Program Parsed(std::string_view text) {
  std::variant<Program, Problem> result = ParseProgram(text);
  if (const Problem* problem = std::get_if<Problem>(&result)) {
    ADD_FAILURE() << ShowProblem(text, *problem);
    return Program();
  }
  return std::get<Program>(std::move(result));
}

std::string Postfix(std::string_view text) { return Postfix(Parsed(text).steps); }

std::string Problems(std::string_view text) {
  const std::variant<Program, Problem> result = ParseProgram(text);
  const Problem* problem = std::get_if<Problem>(&result);
  return problem == nullptr ? "none" : ShowProblem(text, *problem);
}

std::string Repeat(size_t times, std::string_view text) {
  std::string repeated;
  for (size_t i = 0; i < times; ++i) repeated += text;
  return repeated;
}

TEST(Expression, ComputesProductsBeforeSums) {
  EXPECT_EQ(Postfix("1 + 2 * 3"), "1 2 3 * +");
  EXPECT_EQ(Postfix("1 * 2 - 3"), "1 2 * 3 -");
}

TEST(Expression, ComputesOperatorsOfOneKindFromTheLeft) {
  EXPECT_EQ(Postfix("1 - 2 + 3"), "1 2 - 3 +");
  EXPECT_EQ(Postfix("1 / 2 * 3"), "1 2 / 3 *");
}

TEST(Expression, ComputesPowersFromTheRight) { EXPECT_EQ(Postfix("2 ^ 3 ^ 4"), "2 3 4 ^ ^"); }

TEST(Expression, ComputesPowersBeforeAMinusAndAMinusBeforeProducts) {
  EXPECT_EQ(Postfix("-2 ^ 2"), "2 2 ^ ~");
  EXPECT_EQ(Postfix("-2 * 3"), "2 ~ 3 *");
}

TEST(Expression, AcceptsAMinusBehindEachOperator) {
  EXPECT_EQ(Postfix("2 ^ -1"), "2 1 ~ ^");
  EXPECT_EQ(Postfix("2 - -1"), "2 1 ~ -");
  EXPECT_EQ(Postfix("--1"), "1 ~ ~");
}

TEST(Expression, ComputesWhatIsInParenthesesFirst) {
  EXPECT_EQ(Postfix("2 ^ (3 + 4) * sqrt(16)"), "2 3 4 + ^ 16 sqrt/1 *");
}

TEST(Expression, CallsFunctionsWithAnyNumberOfArguments) {
  EXPECT_EQ(Postfix("f() + max(1, 2 + 3, g(4))"), "f/0 1 2 3 + 4 g/1 max/3 +");
}

TEST(Expression, KnowsConstants) { EXPECT_EQ(Postfix("2 * pi"), "2 3.14159 *"); }

TEST(Expression, UsesDefinedValues) {
  const Program program = Parsed("let a = 1; let b = a + 2; b * a");
  ASSERT_EQ(program.definitions.size(), 2u);
  EXPECT_EQ(Postfix(program.definitions[1].steps), "#0 2 +");
  EXPECT_EQ(program.definitions[1].parameters, std::nullopt);
  EXPECT_EQ(Postfix(program.steps), "#1 #0 *");
}

TEST(Expression, UsesDefinedFunctionsAndTheirParameters) {
  const Program program = Parsed("let hyp(a, b) = sqrt(a^2 + b^2); hyp(3, 4)");
  ASSERT_EQ(program.definitions.size(), 1u);
  EXPECT_EQ(program.definitions[0].name, "hyp");
  EXPECT_EQ(program.definitions[0].parameters, 2u);
  EXPECT_EQ(Postfix(program.definitions[0].steps), "$0 2 ^ $1 2 ^ + sqrt/1");
  EXPECT_EQ(Postfix(program.steps), "3 4 #0/2");
}

TEST(Expression, KnowsAFunctionOnlyBehindItsDefinition) {
  EXPECT_EQ(Postfix(Parsed("let f(x) = f(x); 1").definitions[0].steps), "$0 f/1");
}

TEST(Expression, KnowsThePositionOfEachStep) {
  const Program program = Parsed("12 + f(-3)");
  ASSERT_EQ(program.steps.size(), 5u);
  EXPECT_EQ(program.steps[0].position, 0u);  // 12
  EXPECT_EQ(program.steps[1].position, 8u);  // 3
  EXPECT_EQ(program.steps[2].position, 7u);  // -
  EXPECT_EQ(program.steps[3].position, 5u);  // f
  EXPECT_EQ(program.steps[4].position, 3u);  // +
}

TEST(Expression, SaysWhereAnOperandIsMissing) {
  EXPECT_EQ(Problems("2 + * 3"),
            "2 + * 3\n"
            "    ^\n"
            "expected a number, a name or '(', not '*'");
  EXPECT_EQ(Problems("2 +"),
            "2 +\n"
            "   ^\n"
            "expected a number, a name or '(', not the end");
  EXPECT_EQ(Problems(""), "\n^\nexpected a number, a name or '(', not the end");
}

TEST(Expression, SaysWhereAnOperatorIsMissing) {
  EXPECT_EQ(Problems("2 3"), "2 3\n  ^\nexpected an operator or the end, not '3'");
  EXPECT_EQ(Problems("(2 3)"), "(2 3)\n   ^\nexpected an operator or ')', not '3'");
  EXPECT_EQ(Problems("f(2 3)"), "f(2 3)\n    ^\nexpected an operator, ',' or ')', not '3'");
}

TEST(Expression, SaysWhereAParenthesisIsMissingOrTooMuch) {
  EXPECT_EQ(Problems("(2"), "(2\n  ^\nexpected an operator or ')', not the end");
  EXPECT_EQ(Problems("2)"), "2)\n ^\nexpected an operator or the end, not ')'");
}

TEST(Expression, SaysWhereTheTextGoesWrongFirst) {
  EXPECT_EQ(Problems("2 + * $"), "2 + * $\n    ^\nexpected a number, a name or '(', not '*'");
  EXPECT_THAT(Problems("2 × 3"), HasSubstr("2 × 3\n  ^\n'×' has no meaning here"));
}

TEST(Expression, SaysWhatIsWrongWithADefinition) {
  EXPECT_THAT(Problems("let = 3; 1"), HasSubstr("\n    ^\nexpected a name to define, not '='"));
  EXPECT_THAT(Problems("let let = 3; 1"), HasSubstr("expected a name to define, not 'let'"));
  EXPECT_THAT(Problems("let a 3; 1"), HasSubstr("expected '=' or '(', not '3'"));
  EXPECT_THAT(Problems("let a = 3"), HasSubstr("or ';' and what to compute, not the end"));
  EXPECT_THAT(Problems("let f(1) = 3; 1"), HasSubstr("expected the name of a parameter, not '1'"));
  EXPECT_THAT(Problems("let f(x y) = 3; 1"), HasSubstr("expected ',' or ')', not 'y'"));
  EXPECT_THAT(Problems("let f(x) 3; 1"), HasSubstr("expected '=', not '3'"));
  EXPECT_THAT(Problems("1 + let"), HasSubstr("expected a number, a name or '(', not 'let'"));
}

TEST(Expression, RefusesASecondDefinitionOfAName) {
  EXPECT_EQ(Problems("let a = 1; let a = 2; a"),
            "let a = 1; let a = 2; a\n"
            "               ^\n"
            "'a' is defined already");
  EXPECT_THAT(Problems("let f(x, x) = 1; f(1, 2)"), HasSubstr("'x' is a parameter already"));
}

TEST(Expression, SaysWhichNameIsNotDefined) {
  EXPECT_EQ(Problems("2 * y"),
            "2 * y\n"
            "    ^\n"
            "'y' is not defined: put \"let y = ...;\" before it");
  EXPECT_THAT(Problems("let f(x) = x; x"), HasSubstr("'x' is not defined"));
}

TEST(Expression, TellsValuesFromFunctions) {
  EXPECT_THAT(Problems("let a = 1; a(2)"), HasSubstr("'a' is a value, not a function"));
  EXPECT_THAT(Problems("pi(2)"), HasSubstr("'pi' is a value, not a function"));
  EXPECT_THAT(Problems("let f(x) = x; f + 1"), HasSubstr("'(' and the arguments of 'f', not '+'"));
}

TEST(Expression, BoundsHowDeepItIsNested) {
  EXPECT_EQ(Postfix(Repeat(kMaxNesting - 1, "(") + "1" + Repeat(kMaxNesting - 1, ")")), "1");
  EXPECT_THAT(Problems(Repeat(kMaxNesting, "(") + "1"), HasSubstr("nested more than 200 deep"));
  EXPECT_THAT(Problems(Repeat(100000, "(")), HasSubstr("nested more than 200 deep"));
  EXPECT_THAT(Problems(Repeat(100000, "-")), HasSubstr("nested more than 200 deep"));
  EXPECT_THAT(Problems(Repeat(100000, "2^")), HasSubstr("nested more than 200 deep"));
  EXPECT_THAT(Problems(Repeat(100000, "f(")), HasSubstr("nested more than 200 deep"));
}

TEST(Expression, DoesNotBoundHowLongItIs) {
  EXPECT_EQ(Parsed("1" + Repeat(100000, "+1")).steps.size(), 200001u);
  EXPECT_EQ(Parsed("1" + Repeat(100000, "+(1)")).steps.size(), 200001u);
}

TEST(Expression, BoundsTheNumberOfArgumentsAndParameters) {
  EXPECT_THAT(Problems("f(1" + Repeat(kMaxArguments, ",1") + ")"),
              HasSubstr("a function takes at most 100 arguments"));
  std::string parameters = "p";
  for (size_t i = 0; i < kMaxArguments; ++i) absl::StrAppend(&parameters, ",p", i);
  EXPECT_THAT(Problems("let f(" + parameters + ") = 1; 1"),
              HasSubstr("a function has at most 100 parameters"));
}

TEST(Expression, AcceptsAnyBytes) {
  EXPECT_THAT(Problems(std::string("1 + \0", 5)), HasSubstr("' ' has no meaning here"));
  EXPECT_THAT(Problems("1 + \xF0\x9F"), HasSubstr("'\uFFFD' has no meaning here"));
}

}  // namespace
}  // namespace shoal::calculator
