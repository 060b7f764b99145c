// Holds what operations cost against what is committed in costs.tsv.
#include <stdio.h>
#include <sys/wait.h>

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace {

using testing::HasSubstr;

struct Outcome {
  int exit_status;
  std::string output;  // of standard output and standard error together
};

Outcome RunCosts(const std::string& arguments) {
  FILE* output = popen(("exec bench/costs/costs_program " + arguments + " 2>&1").c_str(), "r");
  Outcome outcome;
  for (int c = fgetc(output); c != EOF; c = fgetc(output)) {
    outcome.output.push_back(static_cast<char>(c));
  }
  outcome.exit_status = WEXITSTATUS(pclose(output));
  return outcome;
}

TEST(Costs, AreNoMoreThanThoseCommitted) {
  const Outcome outcome = RunCosts("--values=bench/costs/costs.tsv");
  EXPECT_EQ(outcome.exit_status, 0) << outcome.output;
}

TEST(Costs, ThatGrewAreNamedWithTheCommandThatCommitsThem) {
  const std::string path = testing::TempDir() + "/costs.tsv";
  std::ofstream(path) << "toolchain\tanother\none way, 64 B\t1\t-1\t0\n";
  const Outcome outcome = RunCosts("--only='one way, 64 B' --values=" + path);
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.output,
              HasSubstr("\nMORE: one way, 64 B: 0 allocations an operation, committed are -1\n"));
  EXPECT_THAT(outcome.output, HasSubstr("`tools/costs --write` commits what they cost now"));
}

TEST(Costs, ThatWereWrittenAreNotExceeded) {
  const std::string arguments =
      "--only='one way, 64 B' --values=" + testing::TempDir() + "/written.tsv";
  ASSERT_EQ(RunCosts(arguments + " --write").exit_status, 0);
  const Outcome outcome = RunCosts(arguments);
  EXPECT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr(" +0.00 % "));
}

TEST(Costs, SayWhereNoneAreCommitted) {
  const Outcome outcome = RunCosts("--only='one way, 64 B' --values=/nowhere");
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.output, HasSubstr("--values=/nowhere cannot be read"));
}

}  // namespace
