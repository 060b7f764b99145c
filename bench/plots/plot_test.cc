// tools/plot as a user runs it.
#include <stdlib.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kResults[] = "bench/plots/results.json";

// A folder for pictures.
std::filesystem::path FreshFolder() {
  std::string name = testing::TempDir() + "/plots-XXXXXX";
  return mkdtemp(name.data());
}

int Plot(const std::string& arguments) {
  return WEXITSTATUS(system(("tools/plot " + arguments).c_str()));
}

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Plot, DrawsALineForEachTransport) {
  const auto folder = FreshFolder();
  ASSERT_EQ(Plot(std::string(kResults) + " " + folder.string()), 0);
  EXPECT_THAT(Read(folder / "latency.svg"),
              AllOf(HasSubstr(">channel, shm<"), HasSubstr(">zmq<"), HasSubstr(">RPC, shm<"),
                    HasSubstr(">RPC, unix<"), Not(HasSubstr("loop client"))));
  EXPECT_THAT(Read(folder / "throughput.svg"),
              AllOf(HasSubstr(">channel, shm<"), HasSubstr(">1 GB/s<")));
  EXPECT_THAT(Read(folder / "histogram.svg"),
              AllOf(HasSubstr(">channel, 64 B, shm<"), HasSubstr(">RPC ping, unix<")));
}

TEST(Plot, LabelsItsAxesWithUnits) {
  const auto folder = FreshFolder();
  ASSERT_EQ(Plot(std::string(kResults) + " " + folder.string()), 0);
  EXPECT_THAT(Read(folder / "latency.svg"),
              AllOf(HasSubstr(">1 us<"), HasSubstr(">100 ns<"), HasSubstr(">64 KiB<")));
  EXPECT_THAT(Read(folder / "histogram.svg"), AllOf(HasSubstr(">10 %<"), HasSubstr(">1 us<")));
}

TEST(Plot, DrawsTheSameTwice) {
  const auto first = FreshFolder();
  const auto second = FreshFolder();
  ASSERT_EQ(Plot(std::string(kResults) + " " + first.string()), 0);
  ASSERT_EQ(Plot(std::string(kResults) + " " + second.string()), 0);
  for (const std::string name : {"latency.svg", "throughput.svg", "histogram.svg"}) {
    EXPECT_EQ(Read(first / name), Read(second / name)) << name;
  }
}

TEST(Plot, HasColoursForLightAndDarkBackgrounds) {
  const auto folder = FreshFolder();
  ASSERT_EQ(Plot(std::string(kResults) + " " + folder.string()), 0);
  EXPECT_THAT(Read(folder / "latency.svg"), HasSubstr("prefers-color-scheme: dark"));
}

TEST(Plot, EscapesWhatItIsGiven) {
  const auto folder = FreshFolder();
  ASSERT_EQ(Plot(std::string(kResults) + " " + folder.string()), 0);
  EXPECT_THAT(Read(folder / "latency.svg"), HasSubstr("Abacus &lt;9&gt;, two CPUs"));
}

TEST(Plot, FailsWithoutResults) {
  const auto folder = FreshFolder();
  std::ofstream(folder / "none.json") << "[]";
  EXPECT_EQ(Plot((folder / "none.json").string() + " " + folder.string() + " 2>/dev/null"), 1);
  EXPECT_EQ(Plot("/nowhere " + folder.string() + " 2>/dev/null"), 1);
  EXPECT_EQ(Plot("2>/dev/null"), 2);
}

}  // namespace
