#include "shoal/transport/one_at_a_time.h"

#include <thread>

#include "gtest/gtest.h"

namespace shoal {
namespace {

TEST(OneAtATime, LetsInWhoIsAlone) {
  OneAtATime place;
  for (int i = 0; i < 2; ++i) {
    const OneAtATime::Turn turn(place);
    EXPECT_TRUE(turn.alone());
  }
}

TEST(OneAtATime, TellsTheSecondOfTwo) {
  OneAtATime place;
  const OneAtATime::Turn first(place);
  std::thread([&] { EXPECT_FALSE(OneAtATime::Turn(place).alone()); }).join();
  EXPECT_FALSE(OneAtATime::Turn(place).alone()) << "and has not let anybody in by leaving";
}

}  // namespace
}  // namespace shoal
