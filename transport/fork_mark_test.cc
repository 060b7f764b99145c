#include "shoal/transport/fork_mark.h"

#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "gtest/gtest.h"

namespace shoal {
namespace {

// What `mark` says in a child that is forked now: 1 for forked, 0 for not.
int InAChild(const ForkMark& mark) {
  const pid_t child = fork();
  if (child == 0) {
    _exit(mark.forked() ? 1 : 0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WEXITSTATUS(status);
}

TEST(ForkMark, TellsAForkedChildFromItsParent) {
  const ForkMark mark = ForkMark::Create().value();
  EXPECT_FALSE(mark.forked());
  EXPECT_EQ(InAChild(mark), 1);
  EXPECT_FALSE(mark.forked());
}

TEST(ForkMark, IsNotSetByAForkBeforeIt) {
  const pid_t child = fork();
  if (child == 0) {
    _exit(ForkMark::Create()->forked() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(ForkMark, MovesWithItsOwner) {
  ForkMark mark = ForkMark::Create().value();
  const ForkMark moved = std::move(mark);
  EXPECT_FALSE(moved.forked());
  EXPECT_EQ(InAChild(moved), 1);
}

}  // namespace
}  // namespace shoal
