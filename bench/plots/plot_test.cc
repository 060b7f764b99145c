// tools/plot as a user runs it.
#include <stdlib.h>
#include <sys/wait.h>

#include <fstream>
#include <iterator>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/tests/scratch_folder.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kResults[] = "bench/plots/results.json";

int Plot(const std::string& arguments) {
  return WEXITSTATUS(system(("tools/plot " + arguments).c_str()));
}

std::string Read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Plot, DrawsALineForEachTransport) {
  const ScratchFolder folder;
  ASSERT_EQ(Plot(std::string(kResults) + " " + folder.path()), 0);
  EXPECT_THAT(Read(folder.path() + "/latency.svg"),
              AllOf(HasSubstr(">channel, shm<"), HasSubstr(">zmq<"), HasSubstr(">RPC, shm<"),
                    HasSubstr(">RPC, unix<"), Not(HasSubstr("loop client"))));
  EXPECT_THAT(Read(folder.path() + "/throughput.svg"),
              AllOf(HasSubstr(">channel, shm<"), HasSubstr(">1 GB/s<")));
  EXPECT_THAT(Read(folder.path() + "/histogram.svg"),
              AllOf(HasSubstr(">channel, 64 B, shm<"), HasSubstr(">RPC ping, unix<")));
}

TEST(Plot, LabelsItsAxesWithUnits) {
  const ScratchFolder folder;
  ASSERT_EQ(Plot(std::string(kResults) + " " + folder.path()), 0);
  EXPECT_THAT(Read(folder.path() + "/latency.svg"),
              AllOf(HasSubstr(">1 us<"), HasSubstr(">100 ns<"), HasSubstr(">64 KiB<")));
  EXPECT_THAT(Read(folder.path() + "/histogram.svg"),
              AllOf(HasSubstr(">10 %<"), HasSubstr(">1 us<")));
}

TEST(Plot, DrawsTheSameTwice) {
  const ScratchFolder first;
  const ScratchFolder second;
  ASSERT_EQ(Plot(std::string(kResults) + " " + first.path()), 0);
  ASSERT_EQ(Plot(std::string(kResults) + " " + second.path()), 0);
  for (const std::string name : {"latency.svg", "throughput.svg", "histogram.svg"}) {
    EXPECT_EQ(Read(first.path() + "/" + name), Read(second.path() + "/" + name)) << name;
  }
}

TEST(Plot, HasColoursForLightAndDarkBackgrounds) {
  const ScratchFolder folder;
  ASSERT_EQ(Plot(std::string(kResults) + " " + folder.path()), 0);
  EXPECT_THAT(Read(folder.path() + "/latency.svg"), HasSubstr("prefers-color-scheme: dark"));
}

TEST(Plot, EscapesWhatItIsGiven) {
  const ScratchFolder folder;
  ASSERT_EQ(Plot(std::string(kResults) + " " + folder.path()), 0);
  EXPECT_THAT(Read(folder.path() + "/latency.svg"), HasSubstr("Abacus &lt;9&gt;, two CPUs"));
}

TEST(Plot, FailsWithoutResults) {
  const ScratchFolder folder;
  std::ofstream(folder.path() + "/none.json") << "[]";
  EXPECT_EQ(Plot(folder.path() + "/none.json" + " " + folder.path() + " 2>/dev/null"), 1);
  EXPECT_EQ(Plot("/nowhere " + folder.path() + " 2>/dev/null"), 1);
  EXPECT_EQ(Plot("2>/dev/null"), 2);
}

}  // namespace
}  // namespace shoal
