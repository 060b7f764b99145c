// The short form of tools/soak.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/tests/child_process.h"

namespace shoal {
namespace {

struct Ended {
  std::string printed;
  int status;
};

Ended RunSoak(const std::vector<std::string>& command) {
  ChildProcess process(command);
  std::string printed;
  for (std::string line = process.ReadLine(); !line.empty(); line = process.ReadLine()) {
    printed += line + "\n";
  }
  return {printed, process.Wait()};
}

TEST(Soak, LosesNothingAndLeavesNothing) {
  const Ended ended = RunSoak({"tests/soak/soak", "--time=20s", "--every=5s", "--stop=400ms",
                               "--max_delay=100ms", "--length=0.02"});
  EXPECT_EQ(ended.status, 0) << ended.printed;
  EXPECT_THAT(ended.printed, testing::HasSubstr("messages verified ")) << ended.printed;
  EXPECT_THAT(ended.printed, testing::Not(testing::HasSubstr(" 0 by "))) << ended.printed;
  EXPECT_THAT(ended.printed, testing::Not(testing::HasSubstr(" 0 of "))) << ended.printed;
  EXPECT_THAT(ended.printed, testing::Not(testing::HasSubstr(" 0 from it"))) << ended.printed;
  EXPECT_THAT(ended.printed, testing::Not(testing::HasSubstr(" 0 to it"))) << ended.printed;
}

TEST(Soak, FailsWhenAWorkerFails) {
  EXPECT_EQ(
      RunSoak({"tests/soak/soak", "--time=1s", "--faults=/bin/false", "--stress=/bin/true"}).status,
      1);
  EXPECT_EQ(
      RunSoak({"tests/soak/soak", "--time=1s", "--survivors=0", "--stress=/bin/false"}).status, 1);
}

}  // namespace
}  // namespace shoal
