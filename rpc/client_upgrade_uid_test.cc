// A process of another user at the name where a client looks for its server's shared memory. Only
// root can start one, and not in a sandbox with a user namespace, so this test runs outside of
// those.

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "gtest/gtest.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/echo_server.h"
#include "shoal/transport/test_process.h"

namespace shoal {
namespace {

pid_t listenAsAnother(const std::string& name) {
  // Listens at the abstract name, as a user who is not this one, until it is killed.
  int ready[2];
  EXPECT_EQ(pipe(ready), 0);
  const pid_t child = Fork();
  if (child == 0) {
    sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
    memcpy(address.sun_path + 1, name.data(), name.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    const bool listening = setresuid(12345, 12345, 12345) == 0 && [&]() {
      const int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
      return bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 && listen(fd, 8) == 0;
    }();
    char state = listening ? '1' : '0';
    if (write(ready[1], &state, 1) != 1) {
      _exit(1);
    }
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

struct Child {
  pid_t pid;
  uint port;
};

Child serveAsAnother() {
  // A server of user 12345 that lets this one in.
  int ready[2];
  EXPECT_EQ(pipe(ready), 0);
  const pid_t child = Fork();
  if (child == 0) {
    if (setresuid(12345, 12345, 12345) != 0) {
      _exit(1);
    }
    RpcServerOptions options;
    options.channel.allowed_uids = {0};
    RpcServer server(kj::heap<EchoServer>(), "127.0.0.1", 0u, capnp::ReaderOptions(), options);
    const uint port = server.getPort().wait(server.getWaitScope());
    if (write(ready[1], &port, sizeof(port)) != sizeof(port)) {
      _exit(1);
    }
    kj::NEVER_DONE.wait(server.getWaitScope());
  }
  Child served = {.pid = child, .port = 0};
  EXPECT_EQ(read(ready[0], &served.port, sizeof(served.port)), sizeof(served.port));
  close(ready[0]);
  close(ready[1]);
  return served;
}

std::string reachedAt(uint port, const RpcClientOptions& options) {
  const auto address = kj::str("127.0.0.1:", port);
  RpcClient client(address, 0u, capnp::ReaderOptions(), options);
  auto request = client.getMain<test::Echo>().pingRequest();
  request.setValue(7);
  EXPECT_EQ(request.send().wait(client.getWaitScope()).getValue(), 7);
  return client.getServerAddress().wait(client.getWaitScope()).cStr();
}

TEST(ClientUpgradeUid, AServerOfAnotherUserIsTakenWhenThatUserIsListed) {
  if (geteuid() != 0) {
    EXPECT_NE(setresuid(12345, 12345, 12345), 0) << "only root can be somebody else";
    return;
  }
  const Child server = serveAsAnother();
  RpcClientOptions listed;
  listed.channel.allowed_uids = {12345};
  const std::string tcp = "127.0.0.1:" + std::to_string(server.port);
  EXPECT_EQ(reachedAt(server.port, RpcClientOptions()), tcp);
  EXPECT_EQ(reachedAt(server.port, listed), "shm:tcp/" + tcp + "@12345");
  kill(server.pid, SIGKILL);
  waitpid(server.pid, nullptr, 0);
}

TEST(ClientUpgradeUid, NobodyElseLuresAClientOffItsPort) {
  if (geteuid() != 0) {
    EXPECT_NE(setresuid(12345, 12345, 12345), 0) << "only root can be somebody else";
    return;
  }
  RpcServerOptions options;
  options.upgrade = false;
  RpcServer server(kj::heap<EchoServer>(), "127.0.0.1", 0u, capnp::ReaderOptions(), options);
  const uint port = server.getPort().wait(server.getWaitScope());
  const auto address = kj::str("127.0.0.1:", port);
  const pid_t squatter =
      listenAsAnother("shoal/" + std::to_string(geteuid()) + "/tcp/" + address.cStr());
  EXPECT_EQ(reachedAt(port, RpcClientOptions()), address.cStr());
  kill(squatter, SIGKILL);
  waitpid(squatter, nullptr, 0);
}

}  // namespace
}  // namespace shoal
