// bench/bench as a user runs it.
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/bench/test_command.h"
#include "shoal/tests/scratch_folder.h"

namespace shoal {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::MatchesRegex;

// For as short as it can be.
Outcome RunBench(const std::string& arguments) {
  return RunCommand("bench/bench --time=0 --block=0 " + arguments);
}

// A folder for sockets and results, whose path is short enough for the former.
class Bench : public testing::Test {
 protected:
  Bench() { setenv("TMPDIR", folder_.path().c_str(), 1); }

  const ScratchFolder folder_;
};

// A line of the table of times, from its samples to its ratio.
constexpr char kTimes[] = "[0-9]+( +[0-9.]+ [num]s){4} +[0-9.]+ [num]s[~ ] +[-0-9.]+";

TEST_F(Bench, PrintsTheMachineAndTheTimesOfAWorkThatHasATarget) {
  const Outcome outcome = RunBench("--only='round trip, one CPU'");
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_THAT(outcome.output, ContainsRegex("\nCap'n Proto [0-9.]+, Abseil [0-9a-z.]+, "
                                            "(g\\+\\+|clang) [0-9.]+, (not )?optimised\n"
                                            "client on CPU [0-9]+, server on CPU [0-9]+"));
  EXPECT_THAT(outcome.output,
              ContainsRegex(absl::StrCat("\nround trip, one CPU +shm +64 B +", kTimes,
                                         "  (met|NOT met): 12.0 us = 12 us\n")));
  EXPECT_THAT(outcome.output, ContainsRegex("\n[01] of 1 targets met\n$"));
}

TEST_F(Bench, MeasuresEveryWorkOverAChannel) {
  const Outcome outcome = RunBench("--only=r");
  EXPECT_EQ(outcome.exit_status, 0) << outcome.output;
  for (const std::string work :
       {"round trip, read whole +shm +0 B", "round trip, read whole +shm +64 B",
        "round trip, read whole +shm +1 KiB", "round trip, read whole +shm +64 KiB",
        "round trip, read whole +shm +1 MiB", "round trip, read whole +shm +64 MiB",
        "round trip, header read +shm +64 MiB", "1 ms idle, round trip +shm +64 B",
        "stream, read whole +shm +64 B", "stream, read whole +shm +1 MiB",
        "stream of bare slots +shm +56 B", "stream of bare slots +bare +56 B",
        "connect and round trip +shm +0 B"}) {
    EXPECT_THAT(outcome.output, ContainsRegex(absl::StrCat("\n", work, " +", kTimes)));
  }
}

TEST_F(Bench, MeasuresPingsOverEveryTransport) {
  const Outcome outcome = RunBench("--only=ping");
  EXPECT_EQ(outcome.exit_status, 0) << outcome.output;
  for (const std::string work :
       {"ping", "1 ms idle, ping", "ping, one CPU", "ping, 256 clients", "connect and ping"}) {
    for (const std::string transport : {"shm", "unix", "tcp"}) {
      EXPECT_THAT(outcome.output,
                  ContainsRegex(absl::StrCat("\n", work, " +", transport, " +16 B +", kTimes)));
    }
  }
  EXPECT_THAT(outcome.output, ContainsRegex(absl::StrCat("\nping +loop client +16 B +", kTimes)));
  EXPECT_THAT(outcome.output, ContainsRegex("\n[0-8] of [18] targets met\n$"));
}

TEST_F(Bench, MeasuresPingsWithGapsBetweenThem) {
  const Outcome outcome = RunBench("--only='ping, gaps'");
  EXPECT_EQ(outcome.exit_status, 0) << outcome.output;
  for (const std::string gap : {"10", "100", "2000"}) {
    for (const std::string transport : {"shm", "shm, spin 0", "unix"}) {
      EXPECT_THAT(outcome.output, ContainsRegex(absl::StrCat("\nping, gaps of ", gap, " us +",
                                                             transport, " +16 B +", kTimes)));
    }
  }
  EXPECT_THAT(outcome.output, ContainsRegex("(met|NOT met|open): no sleep in gaps below 50us\n"));
  EXPECT_THAT(outcome.output, ContainsRegex("(met|NOT met|open): .*1.5 sleeping at once\n"));
}

TEST_F(Bench, MeasuresPingsBesideIdleClients) {
  const Outcome outcome = RunBench("--only='ping beside'");
  EXPECT_EQ(outcome.exit_status, 0) << outcome.output;
  for (const std::string transport : {"shm", "unix"}) {
    EXPECT_THAT(outcome.output, ContainsRegex(absl::StrCat("\nping beside 256 idle +", transport,
                                                           " +16 B +", kTimes)));
  }
}

TEST_F(Bench, SumsAListOverEveryTransportAndOverNone) {
  const Outcome outcome = RunBench("--only='sum a list'");
  EXPECT_EQ(outcome.exit_status, 0) << outcome.output;
  for (const std::string transport : {"shm", "unix", "tcp", "loop client", "loop server"}) {
    EXPECT_THAT(outcome.output,
                ContainsRegex(absl::StrCat("\nsum a list +", transport, " +160 MiB +", kTimes)));
  }
}

TEST_F(Bench, MeasuresTheCpuTimeOfIdleClientsAndTheirServer) {
  const Outcome outcome = RunBench("--only='idle for'");
  EXPECT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, ContainsRegex("\n256 idle for 200ms +shm +0 B +0( +-){4} .*  "
                                            "(met|NOT met|open): .*no CPU\n"));
  EXPECT_THAT(outcome.output, ContainsRegex("\n256 idle for 200ms +unix +0 B .* [0-9.]+ [num]s"));
}

TEST_F(Bench, CountsThePageFaultsAndCopiesOfALargeMessage) {
  const Outcome outcome = RunBench("--only='header read'");
  EXPECT_THAT(outcome.output, ContainsRegex("64 MiB .*(met|NOT met): no page fault\n"));
  EXPECT_THAT(outcome.output, ContainsRegex("64 MiB .*(met|NOT met): no word copied\n"));
}

TEST_F(Bench, MeasuresTheMemoryOfAConnection) {
  EXPECT_THAT(RunBench("--only=memory").output,
              ContainsRegex("\nmemory of a connection +shm .* [0-9]+ [KM]iB\n"));
}

TEST_F(Bench, WritesAnObjectForEachResultAsJson) {
  const std::string path = folder_.path() + "/results.json";
  ASSERT_EQ(RunBench(absl::StrCat("--only='1 client' --json=", path)).exit_status, 0);
  std::ifstream file(path);
  const std::string json{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(json, MatchesRegex("\\[\n(\\{\"work\": \"ping, 1 client\", \"transport\": "
                                 "\"(shm|unix|tcp)\", [^{}]*\\},?\n){3}\\]\n"));
}

TEST_F(Bench, LeavesNothingBehind) {
  ASSERT_EQ(RunBench("--only='1 client'").exit_status, 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(Bench, RefusesToMeasureNothing) {
  const Outcome outcome = RunBench("--only=nothing");
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.output, HasSubstr("--only=nothing leaves no work"));
}

TEST_F(Bench, SaysWhereItCannotWrite) {
  const Outcome outcome = RunBench("--only='1 client' --json=/nowhere/file");
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.output, HasSubstr("--json=/nowhere/file cannot be written"));
}

TEST_F(Bench, RefusesAnArgumentThatIsNotAFlag) {
  const Outcome outcome = RunBench("shm:a");
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.output, HasSubstr("unexpected argument 'shm:a'"));
}

}  // namespace
}  // namespace shoal
