#include "shoal/examples/calculator/token.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace shoal::calculator {
namespace {

using Kind = Token::Kind;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Texts(std::string_view text) {
  std::vector<std::string> texts;
  for (const Token& token : Tokenize(text)) texts.emplace_back(token.text);
  return texts;
}

TEST(Token, IsSeparatedByWhatCannotContinueIt) {
  EXPECT_THAT(Texts("let f(x_1)=2x+ 3;"),
              ElementsAre("let", "f", "(", "x_1", ")", "=", "2", "x", "+", "3", ";", ""));
}

TEST(Token, KnowsItsPositionInBytes) {
  const std::vector<Token> tokens = Tokenize(" 1 \n +2");
  ASSERT_EQ(tokens.size(), 4u);
  EXPECT_EQ(tokens[0].position, 1u);
  EXPECT_EQ(tokens[1].position, 5u);
  EXPECT_EQ(tokens[2].position, 6u);
  EXPECT_EQ(tokens[3].position, 7u);
}

TEST(Token, IsANumberInEachDecimalNotation) {
  EXPECT_EQ(Tokenize("12")[0].number, 12);
  EXPECT_EQ(Tokenize("1.5")[0].number, 1.5);
  EXPECT_EQ(Tokenize(".5")[0].number, 0.5);
  EXPECT_EQ(Tokenize("5.")[0].number, 5);
  EXPECT_EQ(Tokenize("1e3")[0].number, 1000);
  EXPECT_EQ(Tokenize("1.5E-3")[0].number, 0.0015);
}

TEST(Token, EndsANumberBeforeAnExponentWithoutDigits) {
  EXPECT_THAT(Texts("2e+x"), ElementsAre("2", "e", "+", "x", ""));
}

TEST(Token, IsInvalidForANumberThatIsOutOfRange) {
  const Token token = Tokenize("1e999")[0];
  EXPECT_EQ(token.kind, Kind::kInvalid);
  EXPECT_THAT(token.message, HasSubstr("1.8e308"));
}

TEST(Token, IsInvalidForACharacterWithoutMeaningAndShowsTheWholeCharacter) {
  const std::vector<Token> tokens = Tokenize("2 × 3");
  ASSERT_EQ(tokens.size(), 2u);
  EXPECT_EQ(tokens[1].kind, Kind::kInvalid);
  EXPECT_EQ(tokens[1].position, 2u);
  EXPECT_THAT(tokens[1].message, HasSubstr("'×' has no meaning"));
}

TEST(Token, IsInvalidForAPointWithoutDigits) {
  EXPECT_EQ(Tokenize(".")[0].kind, Kind::kInvalid);
  EXPECT_THAT(Tokenize(".")[0].message, HasSubstr("'.' has no meaning"));
}

TEST(Token, IsInvalidForBytesThatAreNotUtf8) {
  EXPECT_THAT(Tokenize("\xFF")[0].message, HasSubstr("'\uFFFD' has no meaning"));
}

TEST(Token, IsTheEndForEmptyText) { EXPECT_EQ(Tokenize("")[0].kind, Kind::kEnd); }

}  // namespace
}  // namespace shoal::calculator
