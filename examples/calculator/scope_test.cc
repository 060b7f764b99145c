#include "shoal/examples/calculator/scope.h"

#include <numbers>
#include <variant>

#include "gtest/gtest.h"

namespace shoal::calculator {
namespace {

TEST(Scope, KnowsPiAndEFromTheStart) {
  const Scope scope;
  EXPECT_EQ(std::get<Scope::Constant>(scope.Find("pi")).number, std::numbers::pi);
  EXPECT_EQ(std::get<Scope::Constant>(scope.Find("e")).number, std::numbers::e);
}

TEST(Scope, DoesNotKnowOtherNames) {
  EXPECT_TRUE(std::holds_alternative<Scope::Unknown>(Scope().Find("x")));
}

TEST(Scope, FindsDefinitions) {
  Scope scope;
  scope.Define("x", Scope::Value{3});
  scope.Define("f", Scope::Function{4});
  EXPECT_EQ(std::get<Scope::Value>(scope.Find("x")).definition, 3u);
  EXPECT_EQ(std::get<Scope::Function>(scope.Find("f")).definition, 4u);
  EXPECT_TRUE(scope.IsDefined("x"));
  EXPECT_FALSE(scope.IsDefined("y"));
}

TEST(Scope, PrefersADefinitionToAConstant) {
  Scope scope;
  EXPECT_FALSE(scope.IsDefined("e"));
  scope.Define("e", Scope::Value{0});
  EXPECT_TRUE(std::holds_alternative<Scope::Value>(scope.Find("e")));
}

TEST(Scope, PrefersAParameterToADefinitionUntilItIsCleared) {
  Scope scope;
  scope.Define("x", Scope::Value{0});
  scope.AddParameter("y");
  scope.AddParameter("x");
  EXPECT_EQ(std::get<Scope::Argument>(scope.Find("x")).index, 1u);
  EXPECT_TRUE(scope.IsParameter("x"));
  EXPECT_EQ(scope.ParameterCount(), 2u);

  scope.ClearParameters();
  EXPECT_TRUE(std::holds_alternative<Scope::Value>(scope.Find("x")));
  EXPECT_FALSE(scope.IsParameter("x"));
  EXPECT_EQ(scope.ParameterCount(), 0u);
}

}  // namespace
}  // namespace shoal::calculator
