// The short forms of what tools/stress runs.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/tests/child_process.h"

namespace shoal {
namespace {

// Runs a program with these arguments, and returns what it prints. It must succeed.
std::string OutputOf(const std::string& program, const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {"tests/stress/" + program};
  command.insert(command.end(), arguments.begin(), arguments.end());
  ChildProcess process(command);
  std::string printed;
  for (std::string line = process.ReadLine(); !line.empty(); line = process.ReadLine()) {
    printed += line + "\n";
  }
  EXPECT_EQ(process.Wait(), 0) << printed;
  return printed;
}

TEST(Stress, PassesSmallMessagesThroughTheSmallestRing) {
  EXPECT_THAT(OutputOf("stress", {"--smallest", "--messages=20000", "--max_bytes=65536"}),
              testing::HasSubstr("other end: 20000 messages"));
}

TEST(Stress, PassesSmallMessagesThroughTheSmallestRingWhileSomeAreHeldAndNobodySpins) {
  OutputOf("stress",
           {"--smallest", "--messages=5000", "--max_bytes=8192", "--hold=40", "--spin=0"});
}

TEST(Stress, PassesLargeMessagesThroughTheDefaultRing) {
  OutputOf("stress", {"--messages=300", "--max_bytes=8388608"});
}

TEST(Stress, PassesLargeMessagesThroughTheDefaultRingWhileSomeAreHeld) {
  OutputOf("stress", {"--messages=300", "--max_bytes=8388608", "--hold=20"});
}

TEST(Stress, PassesMessagesThatSpill) {
  OutputOf("stress", {"--smallest", "--messages=5000", "--max_bytes=20000", "--spill"});
}

TEST(Pairs, OfManyProcessesNeverGetStuck) {
  EXPECT_THAT(OutputOf("pairs", {"--pairs=16", "--time=1s"}), testing::HasSubstr("0 stuck"));
}

}  // namespace
}  // namespace shoal
