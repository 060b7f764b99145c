// server ADDRESS: serves a calculator until SIGTERM or SIGINT.

#include "shoal/rpc/server.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <iostream>
#include <string>

#include "kj/async-io.h"
#include "kj/debug.h"
#include "shoal/examples/calculator/calculator_server.h"
#include "shoal/examples/calculator/listening.h"

namespace {

using shoal::calculator::CalculatorServer;

constexpr char USAGE[] =
    "usage: server ADDRESS\n"
    "\n"
    "Serves a calculator until SIGTERM or SIGINT, and prints one line when it listens.\n"
    "\n"
    "ADDRESS is one of\n"
    "  shm:NAME     shared memory, for clients on this machine, e.g. shm:calculator\n"
    "  unix:/PATH   a Unix socket\n"
    "  HOST:PORT    TCP; with port 0 a free one is chosen and printed\n";

constexpr int USAGE_ERROR = 2;
constexpr auto PATIENCE = 5 * kj::SECONDS;

sigset_t stopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

kj::Promise<void> stopped(kj::LowLevelAsyncIoProvider& io, const sigset_t& signals) {
  // Resolves when one of `signals` has arrived, which must be blocked in all threads.
  int fd;
  KJ_SYSCALL(fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  using Io = kj::LowLevelAsyncIoProvider;
  auto stream = io.wrapInputFd(fd, Io::TAKE_OWNERSHIP | Io::ALREADY_CLOEXEC | Io::ALREADY_NONBLOCK);
  auto info = kj::heap<signalfd_siginfo>();
  auto read = stream->read(info.get(), sizeof(*info));
  return read.attach(kj::mv(stream), kj::mv(info));
}

void removeSocketFile(kj::StringPtr address) {
  // So that the next server can listen there.
  constexpr kj::StringPtr PREFIX = "unix:"_kj;
  if (address.startsWith(PREFIX)) unlink(address.slice(PREFIX.size()).cStr());
}

void serve(const char* address) {
  auto signals = stopSignals();
  KJ_SYSCALL(sigprocmask(SIG_BLOCK, &signals, nullptr));

  shoal::RpcServer server(kj::heap<CalculatorServer>(), address);
  auto& waitScope = server.getWaitScope();
  auto stop = stopped(server.getLowLevelIoProvider(), signals);
  auto port = server.getPort().wait(waitScope);
  std::cout << shoal::calculator::ListeningLine(address, port) << std::endl;
  KJ_DEFER(removeSocketFile(address));
  stop.wait(waitScope);
  // What was asked is answered first, unless that takes too long.
  auto tooLong = server.getIoProvider().getTimer().afterDelay(PATIENCE);
  server.drain().exclusiveJoin(kj::mv(tooLong)).wait(waitScope);
}

}  // namespace

int main(int argc, char* argv[]) {
  if (argc == 2 && argv[1] == std::string("--help")) {
    std::cout << USAGE;
    return EXIT_SUCCESS;
  }
  if (argc != 2) {
    std::cerr << USAGE;
    return USAGE_ERROR;
  }
  try {
    serve(argv[1]);
  } catch (const kj::Exception& exception) {
    std::cerr << "server: cannot serve at " << argv[1] << ": " << exception.getDescription().cStr()
              << std::endl;
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
