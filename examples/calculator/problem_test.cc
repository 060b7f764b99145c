#include "shoal/examples/calculator/problem.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"

namespace shoal::calculator {
namespace {

TEST(Problem, IsShownUnderTheCharacterThatHasIt) {
  EXPECT_EQ(ShowProblem("2 + * 3", {4, "wrong"}), "2 + * 3\n    ^\nwrong");
}

TEST(Problem, IsShownBehindTheTextWhenItIsAtTheEnd) {
  EXPECT_EQ(ShowProblem("2 +", {3, "wrong"}), "2 +\n   ^\nwrong");
}

TEST(Problem, IsShownAtTheEndWhenItsPositionIsBehindTheText) {
  EXPECT_EQ(ShowProblem("2", {UINT32_MAX, "wrong"}), "2\n ^\nwrong");
  EXPECT_EQ(ShowProblem("", {1, "wrong"}), "\n^\nwrong");
}

TEST(Problem, IsShownInColumnsOfCharactersAndNotOfBytes) {
  EXPECT_EQ(ShowProblem("é€😀 x", {10, "wrong"}), "é€😀 x\n    ^\nwrong");
}

TEST(Problem, IsShownUnderACharacterWhenItsPositionIsInside) {
  EXPECT_EQ(ShowProblem("é€", {3, "wrong"}), "é€\n ^\nwrong");
}

TEST(Problem, IsShownWithItsOwnLineOnly) {
  EXPECT_EQ(ShowProblem("let a = 1;\na + b;\n3", {15, "wrong"}), "a + b;\n    ^\nwrong");
  EXPECT_EQ(ShowProblem("1 +\n2", {3, "wrong"}), "1 +\n   ^\nwrong");
}

TEST(Problem, IsShownWithAtMost72CharactersOfItsLine) {
  const std::string ones(36, '1');
  EXPECT_EQ(ShowProblem(std::string(100, '1') + "x" + std::string(100, '2'), {100, "wrong"}),
            "…" + ones + "x" + std::string(35, '2') + "…\n" + std::string(37, ' ') + "^\nwrong");
}

TEST(Problem, IsShownInTheMiddleOfWhatIsShownOfALongLine) {
  EXPECT_EQ(ShowProblem(std::string(50, '1') + "x" + std::string(100, '2'), {50, "wrong"}),
            "…" + std::string(36, '1') + "x" + std::string(35, '2') + "…\n" + std::string(37, ' ') +
                "^\nwrong");
}

TEST(Problem, IsShownAtTheStartOfALongLine) {
  EXPECT_EQ(ShowProblem(std::string(100, '1'), {0, "wrong"}), std::string(72, '1') + "…\n^\nwrong");
}

TEST(Problem, IsShownWithoutWhatControlsATerminal) {
  EXPECT_EQ(ShowProblem("\x1B[1m\t+", {5, "wro\x1Bng\n"}), " [1m +\n     ^\nwro ng ");
}

}  // namespace
}  // namespace shoal::calculator
