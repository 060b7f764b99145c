// A system call that fails for want of something, in one thread alone.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>

#include "gtest/gtest.h"

namespace shoal {

// Lets the system call `number` (SYS_memfd_create) fail with `error` in the calling thread, and in
// what that thread starts, for as long as they live: a filter of seccomp's can not be taken back.
inline void FailInThisThread(int number, int error) {
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = 4, .filter = filter};
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

// Does `what` in a thread in which the system call fails, and waits for its end.
inline void WhileFailing(int number, int error, const std::function<void()>& what) {
  std::thread([&] {
    FailInThisThread(number, error);
    what();
  }).join();
}

}  // namespace shoal
