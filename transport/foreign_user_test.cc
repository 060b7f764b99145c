// Equal and unequal user ids: of set-uid programs, of servers that have changed theirs, and in
// namespaces. Only root can be another user, and not in a sandbox with a user namespace, so this
// test runs outside of those.

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "shoal/tests/scratch_folder.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/same_user.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

constexpr absl::StatusCode kPermissionDenied = absl::StatusCode::kPermissionDenied;
constexpr uid_t kUser = 12345;
constexpr uid_t kOverflow = 65534;
constexpr size_t kBytes = 10'000;
constexpr absl::Duration kPatience = absl::Seconds(20);

// A child that runs `act` and ends with what that returns. No thread: a process that has two cannot
// take a user namespace.
class Child {
 public:
  template <typename Act>
  explicit Child(Act act) : pid_(Fork()) {
    if (pid_ == 0) {
      _exit(act());
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }

  pid_t pid() const { return pid_; }

  // Waits for its end, during which `listener` lets in nobody.
  int HeardFrom(Listener& listener) {
    int status = 0;
    while (waitpid(pid_, &status, WNOHANG) == 0) {
      EXPECT_THAT(listener.Accept(absl::Milliseconds(10)),
                  Fails(absl::StatusCode::kDeadlineExceeded, ""));
    }
    pid_ = 0;
    return WEXITSTATUS(status);
  }

  int Wait() {
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = 0;
    return WEXITSTATUS(status);
  }

 private:
  pid_t pid_;  // 0 once it was waited for
};

template <typename Act>
int InChild(Act act) {
  return Child(act).Wait();
}

// A folder that every user may enter.
class OpenFolder : public ScratchFolder {
 public:
  OpenFolder() { EXPECT_EQ(chmod(path().c_str(), 0777), 0); }
  std::string address() const { return "shm:" + path() + "/socket"; }
};

std::string FreshName() { return "shm:test-" + std::to_string(std::random_device()()); }

ChannelOptions Allowing(uid_t uid) {
  ChannelOptions options;
  options.allowed_uids = {uid};
  return options;
}

// What connecting answers, after a message was exchanged if there was a channel.
int Exchange(const std::string& address, const ChannelOptions& options) {
  auto channel = Connect(address, options);
  if (channel.ok()) {
    Send(**channel, 7, kBytes).IgnoreError();
    (*channel)->Receive(kPatience).status().IgnoreError();
  }
  return static_cast<int>(channel.status().code());
}

// The words that this side has copied of a client's message, where `connect` runs in a child.
uint64_t CopiedFrom(const std::function<int()>& connect, Listener& listener) {
  Child client(connect);
  auto channel = listener.Accept(kPatience);
  uint64_t copied = 0;
  if (channel.ok()) {
    ExpectNext(**channel, 7, kBytes);
    copied = (*channel)->stats().words_copied_in;
    channel->reset();
  }
  EXPECT_THAT(channel, Succeeds());
  EXPECT_EQ(client.Wait(), 0);
  return copied;
}

// ---- real and effective ids ----

// What making a pair answers a program with these user ids.
int PairAs(uid_t real, uid_t effective) {
  return InChild([=] {
    return setresuid(real, effective, effective) == 0
               ? static_cast<int>(ChannelPair().status().code())
               : 100;
  });
}

TEST(SetUidProgram, MakesAPair) {
  EXPECT_EQ(PairAs(kUser, 0), 0) << "this test needs root";
  EXPECT_EQ(PairAs(0, kUser), 0);
}

TEST(SetUidProgram, IsLetInAsItsEffectiveUser) {
  const std::string name = FreshName();
  const auto listener = Listen(name);
  ASSERT_THAT(listener, Succeeds());
  CopiedFrom([&] { return setresuid(kUser, 0, 0) == 0 ? Exchange(name, {}) : 100; }, **listener);
}

TEST(SetUidProgram, IsNotLetInAsItsRealUser) {
  const std::string name = FreshName();
  const auto listener = Listen(name);
  ASSERT_THAT(listener, Succeeds());
  Child client(
      [&] { return setresuid(0, kUser, kUser) == 0 ? Exchange(name + "@0", Allowing(0)) : 100; });
  EXPECT_EQ(client.HeardFrom(**listener), static_cast<int>(kPermissionDenied));
}

// Listens as root, becomes a user, and serves one client. Returns once that listens.
class ServerThatBecomesAUser {
 public:
  ServerThatBecomesAUser(const std::string& address, const ChannelOptions& options) {
    int ready[2];
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    child_ = Fork();
    if (child_ == 0) {
      auto listener = Listen(address, options);
      if (!listener.ok() || setresuid(kUser, kUser, kUser) != 0 || write(ready[1], "r", 1) != 1) {
        _exit(100);
      }
      auto channel = (*listener)->Accept(kPatience);
      _exit(channel.ok() ? static_cast<int>((*channel)->Receive(kPatience).status().code())
                         : static_cast<int>(channel.status().code()));
    }
    close(ready[1]);
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1) << "this test needs root";
    close(ready[0]);
  }

  ServerThatBecomesAUser(const ServerThatBecomesAUser&) = delete;
  ServerThatBecomesAUser& operator=(const ServerThatBecomesAUser&) = delete;
  ~ServerThatBecomesAUser() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }

  int Wait() {
    siginfo_t ended{};
    EXPECT_EQ(waitid(P_PID, child_, &ended, WEXITED | WNOWAIT), 0);
    return ended.si_status;
  }

 private:
  pid_t child_;
};

int ConnectAsUser(const std::string& address, const ChannelOptions& options) {
  return InChild(
      [&] { return setresuid(kUser, kUser, kUser) == 0 ? Exchange(address, options) : 100; });
}

TEST(ServerThatListensAsRoot, ServesTheUserThatItBecomesAtAPath) {
  const OpenFolder folder;
  ServerThatBecomesAUser server(folder.address(), Allowing(kUser));
  EXPECT_EQ(ConnectAsUser(folder.address(), Allowing(0)), 0);
  EXPECT_EQ(server.Wait(), 0);
}

TEST(ServerThatListensAsRoot, ServesTheUserThatItBecomesAtARootsName) {
  const std::string name = FreshName();
  ServerThatBecomesAUser server(name, {});
  EXPECT_EQ(ConnectAsUser(name + "@0", Allowing(kUser)), 0);
  EXPECT_EQ(server.Wait(), 0);
}

TEST(ServerThatListensAsRoot, IsRefusedByAClientThatDoesNotAllowBoth) {
  const std::string name = FreshName();
  ServerThatBecomesAUser server(name, {});
  EXPECT_EQ(ConnectAsUser(name + "@0", {}), static_cast<int>(kPermissionDenied));
}

TEST(ServerThatListensAsRoot, RefusesRootOnceItIsAnother) {
  const std::string name = FreshName();
  ServerThatBecomesAUser server(name, {});
  EXPECT_EQ(InChild([&] { return Exchange(name, {}); }), static_cast<int>(kPermissionDenied));
}

// ---- namespaces ----

TEST(OwnUser, IsReadInPlace) {
  const std::string name = FreshName();
  const auto listener = Listen(name);
  EXPECT_EQ(CopiedFrom([&] { return Exchange(name, {}); }, **listener), 0u);
}

TEST(OwnUser, IsReadFromACopyInAnotherNamespaceOfMounts) {
  const std::string name = FreshName();
  const auto listener = Listen(name);
  EXPECT_GT(
      CopiedFrom([&] { return unshare(CLONE_NEWNS) == 0 ? Exchange(name, {}) : 100; }, **listener),
      1000u)
      << "this test needs root";
}

TEST(OwnUser, IsReadFromACopyInAnotherNamespaceOfProcesses) {
  const std::string name = FreshName();
  const auto listener = Listen(name);
  EXPECT_GT(CopiedFrom(
                [&] {
                  return unshare(CLONE_NEWPID) == 0 ? InChild([&] { return Exchange(name, {}); })
                                                    : 100;
                },
                **listener),
            1000u)
      << "this test needs root";
}

bool Write(const std::string& file, const std::string& text) {
  return static_cast<bool>(std::ofstream(file) << text << std::flush);
}

TEST(OwnUser, IsReadFromACopyInAnotherNamespaceOfUsers) {
  const std::string name = FreshName();
  const auto listener = Listen(name);
  EXPECT_GT(CopiedFrom(
                [&] {
                  return unshare(CLONE_NEWUSER) == 0 && Write("/proc/self/uid_map", "0 0 1")
                             ? Exchange(name, {})
                             : 100;
                },
                **listener),
            1000u)
      << "this test needs root";
}

TEST(OwnUser, IsReadAsTheOptionSaysWhereverItIs) {
  const std::string name = FreshName();
  ChannelOptions options;
  options.trust = Trust::kPeer;
  const auto listener = Listen(name, options);
  EXPECT_EQ(
      CopiedFrom([&] { return unshare(CLONE_NEWNS) == 0 ? Exchange(name, {}) : 100; }, **listener),
      0u);
}

// ---- the overflow id ----

// What a client of this process hears of a server in a user namespace with this map.
int HeardOfAServerIn(const std::string& map) {
  const OpenFolder folder;
  int ready[2];
  int mapped[2];
  EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
  EXPECT_EQ(pipe2(mapped, O_CLOEXEC), 0);
  char byte = 0;
  const pid_t server = Fork();
  if (server == 0) {
    if (unshare(CLONE_NEWUSER) != 0 || write(ready[1], "u", 1) != 1 ||
        read(mapped[0], &byte, 1) != 1) {
      _exit(100);
    }
    auto listener = Listen(folder.address(), Allowing(kOverflow));
    if (!listener.ok() || write(ready[1], "r", 1) != 1) {
      _exit(100);
    }
    (*listener)->Accept(kPatience).status().IgnoreError();
    _exit(0);
  }
  close(ready[1]);
  EXPECT_EQ(read(ready[0], &byte, 1), 1) << "this test needs root";
  EXPECT_TRUE(map.empty() || Write("/proc/" + std::to_string(server) + "/uid_map", map));
  EXPECT_EQ(write(mapped[1], "m", 1), 1);
  EXPECT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  close(mapped[0]);
  close(mapped[1]);
  const int heard = InChild([&] {
    return setresuid(kUser, kUser, kUser) == 0 ? Exchange(folder.address(), Allowing(0)) : 100;
  });
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  return heard;
}

TEST(UnknownUser, IsRefusedByAServerThatHasNoIdsItself) {
  EXPECT_EQ(HeardOfAServerIn(""), static_cast<int>(kPermissionDenied));
}

TEST(UnknownUser, IsRefusedWhereNobodyHasItsNumber) {
  EXPECT_EQ(HeardOfAServerIn("0 0 1\n65534 65534 1"), static_cast<int>(kPermissionDenied));
}

TEST(UnknownUser, IsNoneWhereAllIdsAreKnown) {
  ASSERT_FALSE(IsUnknownUser(kOverflow)) << "this test needs all user ids";
  const std::string name = FreshName();
  const auto listener = Listen(name, Allowing(kOverflow));
  CopiedFrom(
      [&] {
        return setresuid(kOverflow, kOverflow, kOverflow) == 0 ? Exchange(name + "@0", Allowing(0))
                                                               : 100;
      },
      **listener);
}

TEST(UnknownUser, IsNotThisProcessItself) {
  EXPECT_EQ(InChild([] {
              return unshare(CLONE_NEWUSER) == 0 && geteuid() == kOverflow
                         ? static_cast<int>(ChannelPair().status().code())
                         : 100;
            }),
            0);
}

}  // namespace
}  // namespace shoal
