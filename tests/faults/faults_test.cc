// The short form of tools/faults: each phase, at both layers, with both processes killed.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/tests/child_process.h"

namespace shoal {
namespace {

// Everything that it prints.
std::string OutputOf(ChildProcess& process) {
  std::string printed;
  for (std::string line = process.ReadLine(); !line.empty(); line = process.ReadLine()) {
    printed += line + "\n";
  }
  return printed;
}

TEST(Faults, LoseNothingAndLeaveNothingWhenAProcessIsKilledAtARandomPoint) {
  ChildProcess process({"tests/faults/faults", "--kills=104"});
  const std::string printed = OutputOf(process);
  EXPECT_EQ(process.Wait(), 0) << printed;
  EXPECT_THAT(printed, testing::HasSubstr("all                      52       52")) << printed;
}

}  // namespace
}  // namespace shoal
