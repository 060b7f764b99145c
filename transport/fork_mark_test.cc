#include "shoal/transport/fork_mark.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "gtest/gtest.h"
#include "shoal/tests/failing_system_call.h"

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

TEST(ForkMark, TellsAChildWhereNoPageIsWipedAtAFork) {
  for (const int error : {EPERM, EINVAL, ENOSYS}) {
    const SystemCall wipe(SYS_madvise, 2, MADV_WIPEONFORK);
    WhileFailing(wipe, error, [] {
      ForkMark first = ForkMark::Create().value();
      const ForkMark mark = std::move(first);
      EXPECT_FALSE(mark.forked());
      EXPECT_EQ(InAChild(mark), 1);
      EXPECT_FALSE(mark.forked());
      const pid_t child = fork();
      if (child == 0) {
        const ForkMark own = ForkMark::Create().value();
        _exit(mark.forked() && !own.forked() && InAChild(own) == 1 ? 0 : 1);
      }
      int status = 0;
      EXPECT_EQ(waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0) << "a child's own mark, and its child";
    });
  }
}

TEST(ForkMark, MovesWithItsOwner) {
  ForkMark mark = ForkMark::Create().value();
  const ForkMark moved = std::move(mark);
  EXPECT_FALSE(moved.forked());
  EXPECT_EQ(InAChild(moved), 1);
}

}  // namespace
}  // namespace shoal
