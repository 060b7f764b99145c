// bench/ping as a user runs it.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

struct Outcome {
  int exit_status;
  std::string output;  // of standard output and standard error together
};

// Runs bench/ping in a shell.
Outcome RunPing(const std::string& arguments) {
  FILE* output = popen(absl::StrCat("exec bench/ping ", arguments, " 2>&1").c_str(), "r");
  Outcome outcome;
  for (int c = fgetc(output); c != EOF; c = fgetc(output)) {
    outcome.output.push_back(static_cast<char>(c));
  }
  outcome.exit_status = WEXITSTATUS(pclose(output));
  return outcome;
}

// A folder for sockets, whose path is short enough for them.
class PingFiles : public testing::Test {
 protected:
  PingFiles() { setenv("TMPDIR", folder_.c_str(), 1); }
  ~PingFiles() override { std::filesystem::remove_all(folder_); }

  char name_[sizeof("/tmp/ping-test-XXXXXX")] = "/tmp/ping-test-XXXXXX";
  std::filesystem::path folder_ = mkdtemp(name_);
};

TEST(Ping, EndsWithALineForEachTransport) {
  const Outcome outcome = RunPing("--count=20");
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_THAT(outcome.output, MatchesRegex("(.|\n)*\n"
                                           "round trip over shm: [0-9]+\\.[0-9] us\n"
                                           "round trip over unix: [0-9]+\\.[0-9] us\n"
                                           "round trip over tcp: [0-9]+\\.[0-9] us\n"));
}

TEST_F(PingFiles, AreGoneWhenItEnds) {
  ASSERT_EQ(RunPing("--count=1").exit_status, 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST(Ping, SaysHowToStartAServerWhereNoneAnswers) {
  const Outcome outcome = RunPing("--connect=unix:/nowhere/socket");
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.output, HasSubstr("`ping --serve=unix:/nowhere/socket` starts a server"));
}

TEST(Ping, SaysWhatAnAddressMustBeWhereItCannotServe) {
  const Outcome outcome = RunPing("--serve=unix:/nowhere/socket");
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.output, HasSubstr("shm:NAME, unix:/path or HOST:PORT"));
}

TEST(Ping, RefusesToTimeNothing) {
  const Outcome outcome = RunPing("--count=0");
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.output, HasSubstr("--count is 0, and must be at least 1"));
}

TEST(Ping, RefusesToServeAndConnectAtOnce) {
  const Outcome outcome = RunPing("--serve=shm:a --connect=shm:a");
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.output, HasSubstr("--serve and --connect exclude each other"));
}

TEST(Ping, RefusesAnArgumentThatIsNotAFlag) {
  const Outcome outcome = RunPing("shm:a");
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.output, HasSubstr("unexpected argument 'shm:a'"));
}

}  // namespace
