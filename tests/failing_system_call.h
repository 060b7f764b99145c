// A system call that fails for want of something, in one thread alone.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <thread>

#include "gtest/gtest.h"

namespace shoal {

// A system call, or only those of its calls that have `value` as argument number `argument`.
struct SystemCall {
  SystemCall(int its_number, int its_argument = -1, uint32_t its_value = 0)
      : number(its_number), argument(its_argument), value(its_value) {}

  int number;  // SYS_memfd_create
  int argument;
  uint32_t value;
};

// Lets `call` fail with `error` in the calling thread, and in what that thread starts, for as long
// as they live: a filter of seccomp's can not be taken back.
inline void FailInThisThread(const SystemCall& call, int error) {
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  const bool any = call.argument < 0;
  const auto argument = static_cast<uint32_t>(
      offsetof(seccomp_data, args) + (any ? 0 : call.argument) * sizeof(uint64_t));  // its low half
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call.number), 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
      BPF_JUMP(BPF_JMP | (any ? BPF_JGE : BPF_JEQ) | BPF_K, any ? 0 : call.value, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = std::size(filter), .filter = filter};
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

// Does `what` in a thread in which the system call fails, and waits for its end.
inline void WhileFailing(const SystemCall& call, int error, const std::function<void()>& what) {
  std::thread([&] {
    FailInThisThread(call, error);
    what();
  }).join();
}

}  // namespace shoal
