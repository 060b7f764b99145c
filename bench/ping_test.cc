// bench/ping as a user runs it.
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/bench/test_command.h"
#include "shoal/tests/scratch_folder.h"

namespace shoal {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

Outcome RunPing(const std::string& arguments) { return RunCommand("bench/ping " + arguments); }

// A folder for sockets, whose path is short enough for them.
class PingFiles : public testing::Test {
 protected:
  PingFiles() { setenv("TMPDIR", folder_.path().c_str(), 1); }

  const ScratchFolder folder_;
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
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
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
}  // namespace shoal
