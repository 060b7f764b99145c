// That calls and new clients get through; what they cost is measured by tools/flood. Only root can
// be another user, and not in a sandbox with a user namespace, so this test runs outside of those.
#include "shoal/tests/flood/flood.h"

#include <unistd.h>

#include "gtest/gtest.h"

namespace shoal {
namespace {

TEST(Flood, ByAStrangerLeavesClientsServed) {
  ASSERT_EQ(geteuid(), 0u) << "this test needs root";
  const FloodReport report = Flood(std::chrono::milliseconds(300));
  EXPECT_GT(report.connections, 0u);
  EXPECT_GT(report.during.calls, 0u);
}

}  // namespace
}  // namespace shoal
