#include "shoal/transport/has_event.h"

#include <unistd.h>

#include "gtest/gtest.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {
namespace {

TEST(HasEvent, TellsWhetherThereIsSomethingToRead) {
  const auto ends = SocketPair().value();
  EXPECT_FALSE(HasEvent(ends.first.get()));
  ASSERT_EQ(write(ends.second.get(), "x", 1), 1);
  EXPECT_TRUE(HasEvent(ends.first.get()));
  EXPECT_FALSE(HasEvent(ends.second.get()));
}

TEST(HasEvent, TellsOfTheEventsThatItIsAskedFor) {
  const auto ends = SocketPair().value();
  ASSERT_EQ(write(ends.second.get(), "x", 1), 1);
  EXPECT_TRUE(HasEvent(ends.first.get(), POLLOUT));
  EXPECT_FALSE(HasEvent(ends.first.get(), POLLRDHUP));
}

TEST(HasEvent, IsTrueOfWhatIsHungUp) {
  auto ends = SocketPair().value();
  ends.second = UniqueFd();
  EXPECT_TRUE(HasEvent(ends.first.get(), 0));
}

}  // namespace
}  // namespace shoal
