// System calls that the system does not have, or a filter forbids: each has its fallback, or one
// clear error.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <tuple>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/failing_system_call.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/test_channels.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Named {
  std::string name;
  SystemCall call;
  std::string text = {};  // what the error says, where there is one
};

constexpr int kErrors[] = {EPERM, EINVAL, ENOSYS};

// A server in another process, which echoes to one client after the other.
struct Server {
  Server() { EXPECT_EQ(process.ReadLine(), "listening"); }

  UniqueAddress address{"shm"};
  ChildProcess process{{"tests/channel_process", address.text(), "serve"}};
};

void ExpectEcho(Channel& channel, size_t bytes) {
  ASSERT_TRUE(Send(channel, 7, bytes).ok());
  ExpectNext(channel, 7, bytes);
}

void ExpectToKnowAFork(Channel& channel) {
  const pid_t child = fork();
  if (child == 0) {
    _exit(absl::IsFailedPrecondition(channel.TryReceive().status()) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

class CallWithAFallback : public testing::TestWithParam<std::tuple<Named, int>> {};

TEST_P(CallWithAFallback, IsNotNeeded) {
  const auto& [named, error] = GetParam();
  const Server server;
  WhileFailing(named.call, error, [&] {
    auto channel = Connect(server.address.text());
    ASSERT_TRUE(channel.ok()) << channel.status();
    ExpectEcho(**channel, 16);
    ExpectEcho(**channel, 100'000);
    ExpectEcho(**channel, 8 << 20);  // another slab
    ExpectToKnowAFork(**channel);
    EXPECT_GE((*channel)->doorbell(), 0);
  });
}

INSTANTIATE_TEST_SUITE_P(
    Of, CallWithAFallback,
    testing::Combine(
        testing::Values(Named{"madvise", {SYS_madvise, 2, MADV_WIPEONFORK}},
                        Named{"memfd_noexec",
                              {SYS_memfd_create, 1, MFD_CLOEXEC | MFD_ALLOW_SEALING | 8}},
                        Named{"fallocate", {SYS_fallocate}}, Named{"pidfd_open", {SYS_pidfd_open}},
                        Named{"epoll_create1", {SYS_epoll_create1}}, Named{"getcpu", {SYS_getcpu}},
                        Named{"prlimit64", {SYS_prlimit64}}),
        testing::ValuesIn(kErrors)),
    [](const auto& info) {
      return std::get<0>(info.param).name + "_" + std::to_string(std::get<1>(info.param));
    });

class CallWithoutAFallback : public testing::TestWithParam<std::tuple<Named, int>> {};

TEST_P(CallWithoutAFallback, IsNamedInTheError) {
  const Named& named = std::get<0>(GetParam());
  const Server server;
  WhileFailing(named.call, std::get<1>(GetParam()), [&] {
    const absl::Status status = Connect(server.address.text()).status();
    EXPECT_THAT(Text(status), AllOf(HasSubstr("the system refuses " + named.text),
                                    HasSubstr("use unix: or TCP")));
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  });
  EXPECT_TRUE(Connect(server.address.text()).ok());
}

TEST(ListenerWithoutEpoll, IsRefusedWithTheCallNamed) {
  const UniqueAddress address("shm");
  for (const int error : kErrors) {
    WhileFailing({SYS_epoll_create1}, error, [&] {
      const absl::Status status = Listen(address.text()).status();
      EXPECT_THAT(Text(status), HasSubstr("the system refuses epoll_create1"));
      EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    });
  }
}

INSTANTIATE_TEST_SUITE_P(
    Of, CallWithoutAFallback,
    testing::Combine(
        testing::Values(
            Named{"memfd_create", {SYS_memfd_create}, "memfd_create"},
            Named{"seal", {SYS_fcntl, 1, F_ADD_SEALS}, "fcntl(F_ADD_SEALS)"},
            Named{"ftruncate", {SYS_ftruncate}, "ftruncate"},
            Named{"fstatfs", {SYS_fstatfs}, "fstatfs"},
            Named{"passcred", {SYS_setsockopt, 2, SO_PASSCRED}, "setsockopt(SO_PASSCRED)"},
            Named{"peercred", {SYS_getsockopt, 2, SO_PEERCRED}, "getsockopt(SO_PEERCRED)"}),
        testing::ValuesIn(kErrors)),
    [](const auto& info) {
      return std::get<0>(info.param).name + "_" + std::to_string(std::get<1>(info.param));
    });

}  // namespace
}  // namespace shoal
