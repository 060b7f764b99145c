// bench/calls as a user runs it.
#include <stdio.h>
#include <sys/wait.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

struct Outcome {
  int exit_status;
  std::string output;  // of standard output and standard error together
};

// Runs bench/calls in a shell.
Outcome RunCalls(const std::string& arguments) {
  FILE* output = popen(absl::StrCat("exec bench/calls ", arguments, " 2>&1").c_str(), "r");
  Outcome outcome;
  for (int c = fgetc(output); c != EOF; c = fgetc(output)) {
    outcome.output.push_back(static_cast<char>(c));
  }
  outcome.exit_status = WEXITSTATUS(pclose(output));
  return outcome;
}

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
