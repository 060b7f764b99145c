// Two servers with one port, of which TCP reaches one and a name of shared memory might lead to the
// other. Each test is in network and mount namespaces of its own, for which it must be root.

#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <string>

#include "gtest/gtest.h"
#include "kj/debug.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/echo_server.h"
#include "shoal/tests/scratch_folder.h"
#include "shoal/transport/test_process.h"

namespace shoal {
namespace {

class Numbered final: public test::Echo::Server {
  // Answers each ping with its own number.

public:
  explicit Numbered(uint64_t number): number(number) {}

  kj::Promise<void> ping(PingContext context) override {
    context.getResults().setValue(number);
    return kj::READY_NOW;
  }

private:
  const uint64_t number;
};

void write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  KJ_REQUIRE(file.good(), path.c_str());
}

void enterNamespaces(const std::string& hosts, bool bindV6Only) {
  KJ_SYSCALL(unshare(CLONE_NEWNET | CLONE_NEWNS), "this test must run as root");
  KJ_SYSCALL(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
  KJ_SYSCALL(mount(hosts.c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr));
  const kj::AutoCloseFd socket(::socket(AF_INET, SOCK_DGRAM, 0));
  struct ifreq loopback = {};
  strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP;
  KJ_SYSCALL(ioctl(socket, SIOCSIFFLAGS, &loopback));
  write("/proc/sys/net/ipv6/bindv6only", bindV6Only ? "1" : "0");
}

void redirect(uint from, uint to) {
  // Connections of this namespace to one port, to another one.
  const auto command = kj::str(
      "PATH=/usr/sbin:$PATH nft '"
      "add table ip nat; "
      "add chain ip nat output { type nat hook output priority -100; }; "
      "add rule ip nat output tcp dport ",
      from, " redirect to ", to, "'");
  KJ_REQUIRE(system(command.cStr()) == 0, "this test needs Debian's nftables");
}

class ClientUpgradeNamespace: public testing::Test {
protected:
  void inside(const std::function<void()>& test, bool bindV6Only = false) {
    // In a child that lives in the namespaces. What it throws fails the test.
    write(folder.path() + "/hosts", "::1 localhost\n127.0.0.1 localhost\n");
    const pid_t child = Fork();
    if (child == 0) {
      auto failure = kj::runCatchingExceptions([&]() {
        enterNamespaces(folder.path() + "/hosts", bindV6Only);
        test();
      });
      KJ_IF_MAYBE (exception, failure) {
        KJ_LOG(ERROR, *exception);
      }
      _exit(failure == nullptr ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }

private:
  const ScratchFolder folder;
};

class TwoServers {
  // The first offers no shared memory.

public:
  TwoServers(kj::StringPtr tcp, kj::StringPtr sharedMemory)
      : first(kj::heap<Numbered>(1), tcp, 0u, capnp::ReaderOptions(), withoutUpgrade()),
        second(kj::heap<Numbered>(2), sharedMemory) {
    first.getPort().wait(first.getWaitScope());
    second.getPort().wait(second.getWaitScope());
  }

  uint64_t reachedAt(kj::StringPtr address) {
    RpcClient client(address);
    auto echo = client.getMain<test::Echo>();
    return echo.pingRequest().send().wait(client.getWaitScope()).getValue();
  }

  kj::String whereAt(kj::StringPtr address) {
    RpcClient client(address);
    return client.getServerAddress().wait(client.getWaitScope());
  }

private:
  static RpcServerOptions withoutUpgrade() {
    RpcServerOptions options;
    options.upgrade = false;
    return options;
  }

  RpcServer first;
  RpcServer second;
};

TEST_F(ClientUpgradeNamespace, ReachesTheLocalhostThatTcpReaches) {
  inside([]() {
    TwoServers servers("[::1]:5923", "127.0.0.1:5923");
    KJ_ASSERT(servers.reachedAt("localhost:5923") == 1);  // the first of its addresses
    KJ_ASSERT(servers.reachedAt("127.0.0.1:5923") == 2);
    KJ_ASSERT(servers.whereAt("127.0.0.1:5923") == "shm:tcp/127.0.0.1:5923");
  });
}

TEST_F(ClientUpgradeNamespace, ReachesTheServerOfItsKindOfAddress) {
  inside(
      []() {
        TwoServers servers("0.0.0.0:5923", "[::]:5923");
        KJ_ASSERT(servers.reachedAt("127.0.0.1:5923") == 1);
        KJ_ASSERT(servers.reachedAt("[::1]:5923") == 2);
        KJ_ASSERT(servers.whereAt("[::1]:5923") == "shm:tcp/[::]:5923");
      },
      true);
}

TEST_F(ClientUpgradeNamespace, ReachesTheServerOfItsVeryAddress) {
  inside(
      []() {
        TwoServers servers("127.0.0.1:5923", "[::]:5923");
        KJ_ASSERT(servers.reachedAt("127.0.0.1:5923") == 1);
        KJ_ASSERT(servers.reachedAt("[::1]:5923") == 2);
      },
      true);
}

TEST_F(ClientUpgradeNamespace, ReachesTheServerThatItsPortIsRedirectedTo) {
  inside([]() {
    redirect(5923, 9090);
    TwoServers servers("127.0.0.1:9090", "127.0.0.1:5923");
    KJ_ASSERT(servers.reachedAt("127.0.0.1:5923") == 1);
  });
}

}  // namespace
}  // namespace shoal
