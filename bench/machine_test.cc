#include "shoal/bench/machine.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace shoal {
namespace {

using testing::MatchesRegex;

TEST(Machine, SaysWhatFiguresDependOn) {
  const Machine machine = ThisMachine(0, 1);
  EXPECT_THAT(machine.cpu, MatchesRegex(".+"));
  EXPECT_THAT(machine.kernel, MatchesRegex("Linux [0-9]+\\.[0-9]+.* .+"));
  EXPECT_THAT(machine.capnp, MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_THAT(machine.abseil, MatchesRegex("[0-9]{8}\\.[0-9]+|head"));
  EXPECT_THAT(machine.compiler, MatchesRegex("(g\\+\\+|clang) [0-9]+\\.[0-9]+"));
  EXPECT_THAT(machine.compile_mode, MatchesRegex("(not )?optimised"));
}

TEST(Machine, HasTwoCpusWhereTheSidesArePinnedApart) {
  EXPECT_TRUE(ThisMachine(0, 1).HasTwoCpus());
  EXPECT_FALSE(ThisMachine(1, 1).HasTwoCpus());
}

}  // namespace
}  // namespace shoal
