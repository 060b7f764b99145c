// Peers of other users. Only root can be one, and not in a sandbox with a user namespace, so this
// test runs outside of those.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "shoal/tests/scratch_folder.h"
#include "shoal/transport/address.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

TEST(AllowedUids, LetOthersFindTheSocketFile) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/socket";
  struct stat file {};
  {
    const auto own = Listen("shm:" + path);
    ASSERT_EQ(stat(path.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777, 0600);
  }
  ChannelOptions options;
  options.allowed_uids = {12345};
  const auto shared = Listen("shm:" + path, options);
  ASSERT_EQ(stat(path.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0666);
}

// Connects as another user, in a child, and returns what it hears: 0 if it was let in.
absl::StatusCode ConnectAs(uid_t uid, const std::string& address) {
  const pid_t child = Fork();
  if (child == 0) {
    ChannelOptions options;
    options.allowed_uids = {0};  // the server's
    if (setresuid(uid, uid, uid) != 0) {
      _exit(100);
    }
    auto channel = Connect(address, options);
    if (channel.ok()) {
      // The server copies what another user sends, so it can be changed while it is read.
      Send(**channel, 7, 10000).IgnoreError();
      (*channel)->Receive().status().IgnoreError();
    }
    _exit(static_cast<int>(channel.status().code()));
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return static_cast<absl::StatusCode>(WEXITSTATUS(status));
}

TEST(AllowedUids, LetInThoseWhoAreListedAndTrustThemLess) {
  if (geteuid() != 0) {
    EXPECT_NE(setresuid(12345, 12345, 12345), 0) << "only root can be somebody else";
    return;
  }
  const ScratchFolder folder;
  ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
  const std::string address = "shm:" + folder.path() + "/socket";
  ChannelOptions options;
  options.allowed_uids = {12345};
  const auto listener = Listen(address, options);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(HeardBy([&] { return ConnectAs(12346, address); }, **listener),
            absl::StatusCode::kPermissionDenied);
  std::thread let_in([&] { EXPECT_EQ(ConnectAs(12345, address), absl::StatusCode::kOk); });
  auto channel = (*listener)->Accept(absl::Seconds(20));
  ASSERT_TRUE(channel.ok()) << channel.status();
  EXPECT_EQ((*channel)->peer().uid, 12345);
  ExpectNext(**channel, 7, 10000);
  EXPECT_GT((*channel)->stats().words_copied_in, 1000) << "it was read from a copy";
  channel->reset();
  let_in.join();
}

// Listens at a name as another user, in a child, until that is killed.
pid_t SquatAs(uid_t uid, const SocketName& name) {
  int ready[2];
  EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = Fork();
  if (child == 0) {
    const auto squatter = setresuid(uid, uid, uid) == 0
                              ? ListenOn(name)
                              : absl::InternalError("only root can be somebody else");
    const char state = squatter.ok() ? '1' : '0';
    [[maybe_unused]] const ssize_t told = write(ready[1], &state, 1);
    while (true) {
      pause();
    }
  }
  char state = '0';
  EXPECT_EQ(read(ready[0], &state, 1), 1);
  EXPECT_EQ(state, '1');
  close(ready[0]);
  close(ready[1]);
  return child;
}

TEST(AllowedUids, KeepAClientFromASquatterOnItsServersName) {
  if (geteuid() != 0) {
    EXPECT_NE(setresuid(12345, 12345, 12345), 0) << "only root can be somebody else";
    return;
  }
  const Address address =
      Address::Parse("shm:squatted-" + std::to_string(std::random_device()())).value();
  const pid_t squatter = SquatAs(12345, address.socket_name());
  EXPECT_THAT(Connect(address.text()),
              Fails(absl::StatusCode::kPermissionDenied, "has user id 12345; allowed is 0"));
  kill(squatter, SIGKILL);
  waitpid(squatter, nullptr, 0);
}

}  // namespace
}  // namespace shoal
