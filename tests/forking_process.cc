// A server that forks once it listens: forking_process ADDRESS HOW THREADS
//
// HOW is
//   daemon  the parent ends at once, as in daemon()
//   return  the parent returns from main(), through all destructors
//   stay    the parent serves on; the child ends
//   kept    as daemon, but the child waits in the event loop that it had before
//
// The child prints its process id, and what the server says to it once the parent is gone, and
// returns from main() with status 7.

#include <unistd.h>

#include <iostream>
#include <string>

#include "kj/debug.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/echo_server.h"
#include "shoal/tests/where_reached.h"

// A child has the memory of its parent's threads and not the stacks that lead to it, which
// LeakSanitizer would call leaks.
extern "C" int __lsan_is_turned_off() { return 1; }

namespace shoal {
namespace {

constexpr int kStatus = 7;

void AwaitEndOf(pid_t parent) {
  while (getppid() == parent) {
    usleep(1000);
  }
}

void Print(kj::Maybe<kj::Exception> said) {
  KJ_IF_MAYBE (exception, said) {
    std::string text = exception->getDescription().cStr();
    std::cout << text.substr(0, text.find('\n')) << std::endl;
  } else {
    std::cout << "nothing" << std::endl;
  }
}

int Run(const std::string& address, const std::string& how, uint threads) {
  RpcServerOptions options;
  options.upgrade = false;
  options.threads = threads;
  BootstrapFactory factory = [](const Peer&) { return kj::heap<EchoServer>(); };
  RpcServer server(factory, address.c_str(), 0, capnp::ReaderOptions(), options);
  std::cout << WhereReached(server, address) << std::endl;
  kj::WaitScope& before = server.getWaitScope();
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child != 0 && how == "stay") {
    kj::NEVER_DONE.wait(before);
  }
  if (child != 0 && how == "return") {
    return 0;
  }
  if (child != 0) {
    _exit(0);
  }
  if (how != "stay") {
    AwaitEndOf(parent);
  }
  std::cout << getpid() << std::endl;
  Print(kj::runCatchingExceptions(
      [&]() { kj::NEVER_DONE.wait(how == "kept" ? before : server.getWaitScope()); }));
  return kStatus;
}

}  // namespace
}  // namespace shoal

int main(int, char** argv) { return shoal::Run(argv[1], argv[2], std::stoul(argv[3])); }
