#include "shoal/transport/unique_fd.h"

#include <fcntl.h>

#include <cerrno>
#include <type_traits>
#include <utility>

#include "gtest/gtest.h"

namespace shoal {
namespace {

int OpenSomething() {
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_GE(fd, 0);
  return fd;
}

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) != -1 || errno != EBADF; }

TEST(UniqueFd, OwnsNothingByDefault) {
  const UniqueFd fd;
  EXPECT_FALSE(fd);
  EXPECT_EQ(fd.get(), -1);
}

TEST(UniqueFd, OwnsNothingAfterAFailedOpen) { EXPECT_FALSE(UniqueFd(-1)); }

TEST(UniqueFd, OwnsDescriptorZero) {
  UniqueFd fd(0);
  EXPECT_TRUE(fd);
  EXPECT_EQ(fd.Release(), 0);
}

TEST(UniqueFd, ClosesWhatItOwns) {
  const int number = OpenSomething();
  {
    const UniqueFd fd(number);
    EXPECT_TRUE(fd);
    EXPECT_EQ(fd.get(), number);
    EXPECT_TRUE(IsOpen(number));
  }
  EXPECT_FALSE(IsOpen(number));
}

TEST(UniqueFd, MovesItsDescriptor) {
  const int number = OpenSomething();
  UniqueFd from(number);
  const UniqueFd to = std::move(from);
  EXPECT_FALSE(from);
  EXPECT_EQ(to.get(), number);
  EXPECT_TRUE(IsOpen(number));
}

TEST(UniqueFd, ClosesWhatItOwnedWhenItIsGivenAnother) {
  const int first = OpenSomething();
  const int second = OpenSomething();
  UniqueFd fd(first);
  UniqueFd other(second);
  fd = std::move(other);
  EXPECT_EQ(fd.get(), second);
  EXPECT_FALSE(other);
  EXPECT_FALSE(IsOpen(first));
  EXPECT_TRUE(IsOpen(second));
}

TEST(UniqueFd, KeepsItsDescriptorWhenMovedToItself) {
  const int number = OpenSomething();
  UniqueFd fd(number);
  UniqueFd& same = fd;
  fd = std::move(same);
  EXPECT_EQ(fd.get(), number);
  EXPECT_TRUE(IsOpen(number));
}

TEST(UniqueFd, GivesItsDescriptorToTheCaller) {
  const int number = OpenSomething();
  int released = -1;
  {
    UniqueFd fd(number);
    released = fd.Release();
    EXPECT_FALSE(fd);
  }
  EXPECT_EQ(released, number);
  EXPECT_TRUE(IsOpen(number));
  close(released);
}

TEST(UniqueFd, HasOneOwner) {
  EXPECT_FALSE(std::is_copy_constructible_v<UniqueFd>);
  EXPECT_FALSE(std::is_copy_assignable_v<UniqueFd>);
  EXPECT_FALSE((std::is_convertible_v<int, UniqueFd>));
}

}  // namespace
}  // namespace shoal
