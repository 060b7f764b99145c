#include "shoal/examples/calculator/listening.h"

#include "gtest/gtest.h"

namespace shoal::calculator {
namespace {

TEST(ListeningLine, HasTheAddressAsItWasGiven) {
  EXPECT_EQ(ListeningLine("shm:calculator", 0), "listening on shm:calculator");
  EXPECT_EQ(ListeningLine("unix:/tmp/a:0", 0), "listening on unix:/tmp/a:0");
  EXPECT_EQ(ListeningLine("127.0.0.1:5923", 5923), "listening on 127.0.0.1:5923");
}

TEST(ListeningLine, HasThePortThatTheSystemChose) {
  EXPECT_EQ(ListeningLine("127.0.0.1:0", 41234), "listening on 127.0.0.1:41234");
  EXPECT_EQ(ListeningLine("127.0.0.1", 41234), "listening on 127.0.0.1:41234");
  EXPECT_EQ(ListeningLine("[::1]:0", 41234), "listening on [::1]:41234");
}

}  // namespace
}  // namespace shoal::calculator
