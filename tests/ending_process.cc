// An Echo server or client that ends in the middle of what it does: ending_process ROLE ADDRESS HOW
//
// ROLE is "server", "threads" for one with two threads of its own, or "client", which has a call
// pending by then. HOW is
//   return   from main(), through all destructors
//   exit     std::exit(), past those of main()
//   _exit    past all
//   drain    for a server: answers for at most a tenth of a second more what was asked, and returns
//
// Servers print their address and end at SIGTERM; clients print "calling" and end. The status is 7.

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "kj/async-io.h"
#include "kj/debug.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/echo_server.h"
#include "shoal/tests/where_reached.h"

namespace shoal {
namespace {

constexpr int kStatus = 7;

int End(const std::string& how) {
  if (how == "exit") {
    std::exit(kStatus);
  }
  if (how == "_exit") {
    _exit(kStatus);
  }
  return kStatus;
}

// Blocks SIGTERM, in threads that are started later too.
sigset_t BlockTermination() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  KJ_SYSCALL(sigprocmask(SIG_BLOCK, &signals, nullptr));
  return signals;
}

void AwaitTermination(const sigset_t& signals, RpcServer& server) {
  using Io = kj::LowLevelAsyncIoProvider;
  int fd;
  KJ_SYSCALL(fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  auto stream = server.getLowLevelIoProvider().wrapInputFd(
      fd, Io::TAKE_OWNERSHIP | Io::ALREADY_CLOEXEC | Io::ALREADY_NONBLOCK);
  signalfd_siginfo info;
  stream->read(&info, sizeof(info)).wait(server.getWaitScope());
}

int Serve(const std::string& address, const std::string& how, uint threads) {
  const sigset_t signals = BlockTermination();
  RpcServerOptions options;
  options.upgrade = false;
  options.threads = threads;
  BootstrapFactory factory = [](const Peer&) { return kj::heap<EchoServer>(); };
  RpcServer server(factory, address.c_str(), 0, capnp::ReaderOptions(), options);
  std::cout << WhereReached(server, address) << std::endl;
  AwaitTermination(signals, server);
  if (how == "drain") {
    auto& timer = server.getIoProvider().getTimer();
    server.drain()
        .exclusiveJoin(timer.afterDelay(100 * kj::MILLISECONDS))
        .wait(server.getWaitScope());
  }
  return End(how);
}

int Call(const std::string& address, const std::string& how) {
  RpcClient client(address.c_str());
  auto echo = client.getMain<test::Echo>();
  auto pending = echo.neverRequest().send();
  echo.pingRequest().send().wait(client.getWaitScope());
  std::cout << "calling" << std::endl;
  return End(how);
}

}  // namespace
}  // namespace shoal

int main(int, char** argv) {
  const std::string role = argv[1];
  return role == "client" ? shoal::Call(argv[2], argv[3])
                          : shoal::Serve(argv[2], argv[3], role == "threads" ? 2 : 0);
}
