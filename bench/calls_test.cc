// bench/calls as a user runs it.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/bench/test_command.h"

namespace shoal {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

Outcome RunCalls(const std::string& arguments) { return RunCommand("bench/calls " + arguments); }

TEST(Calls, PrintsATableWithALineForEachWork) {
  const Outcome outcome = RunCalls("--blocks=1 --pings=10 --sinks=2");
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_THAT(outcome.output, ContainsRegex("^client on CPU [0-9]+, server on CPU [0-9]+"));
  EXPECT_THAT(outcome.output,
              ContainsRegex("\n1 blocks [^\n]*\n"
                            "work +shm +loop@[0-9]+ +loop@[0-9]+ +floor +read +target +ratio +met\n"
                            "16 bytes( +[0-9]+\\.[0-9]+){7}  (yes|no)\n"
                            "1 MiB( +[0-9]+\\.[0-9]+){7}  (yes|no)\n$"));
}

TEST(Calls, MeasuresOneBlockWhereThereIsNoTimeForMore) {
  const Outcome outcome = RunCalls("--time=0 --pings=10 --sinks=2");
  EXPECT_THAT(outcome.output, HasSubstr("\n1 blocks "));
}

TEST(Calls, RefusesToTimeNothing) {
  const Outcome outcome = RunCalls("--sinks=0");
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.output, HasSubstr("--sinks is 0, and must be at least 1"));
}

TEST(Calls, RefusesAnArgumentThatIsNotAFlag) {
  const Outcome outcome = RunCalls("shm:a");
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.output, HasSubstr("unexpected argument 'shm:a'"));
}

}  // namespace
}  // namespace shoal
