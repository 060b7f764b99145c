#include "shoal/bench/ping_server.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdint>
#include <iostream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "kj/async-io.h"
#include "kj/debug.h"
#include "kj/exception.h"
#include "shoal/bench/ping.capnp.h"
#include "shoal/bench/usage.h"
#include "shoal/bench/used.h"
#include "shoal/bench/word_sum.h"
#include "shoal/rpc/server.h"

namespace shoal {
namespace {

class PingServer final : public schema::Ping::Server {
 public:
  kj::Promise<void> ping(PingContext context) override {
    const auto params = context.getParams();
    auto results = context.getResults();
    results.setSequence(params.getSequence());
    results.setToken(params.getToken());
    return kj::READY_NOW;
  }

  kj::Promise<void> sink(SinkContext context) override {
    const auto data = context.getParams().getData();
    context.getResults().setSum(WordSum(data.begin(), data.size()));
    return kj::READY_NOW;
  }

  kj::Promise<void> echo(EchoContext context) override {
    const auto data = context.getParams().getData();
    context.getResults(capnp::MessageSize{data.size() / sizeof(capnp::word) + 4, 0}).setData(data);
    return kj::READY_NOW;
  }

  kj::Promise<void> write(WriteContext context) override {
    const auto data = context.getParams().getData();
    written_ += WordSum(data.begin(), data.size());
    return kj::READY_NOW;
  }

  kj::Promise<void> written(WrittenContext context) override {
    context.getResults().setSum(std::exchange(written_, 0));
    return kj::READY_NOW;
  }

  kj::Promise<void> usage(UsageContext context) override {
    WriteUsage(meter_.Read(), context.getResults().initUsed());
    return kj::READY_NOW;
  }

  kj::Promise<void> sum(SumContext context) override {
    uint64_t sum = 0;
    for (const uint64_t value : context.getParams().getValues()) {
      sum += value;
    }
    context.getResults().setSum(sum);
    return kj::READY_NOW;
  }

 private:
  UsageMeter meter_;
  uint64_t written_ = 0;
};

// From now on the signals to stop wait to be read. Returns them.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    sigaddset(&signals, signal);
  }
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// Runs the server until one of `signals`, which are blocked, arrives.
void RunUntil(const sigset_t& signals, RpcServer& server) {
  int fd;
  KJ_SYSCALL(fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  using Io = kj::LowLevelAsyncIoProvider;
  kj::Own<kj::AsyncInputStream> stream = server.getLowLevelIoProvider().wrapInputFd(
      fd, Io::TAKE_OWNERSHIP | Io::ALREADY_CLOEXEC | Io::ALREADY_NONBLOCK);
  signalfd_siginfo signal;
  stream->read(&signal, sizeof(signal)).wait(server.getWaitScope());
}

// `address` with the port that the server listens on; only HOST:PORT has one.
std::string BoundAddress(const std::string& address, unsigned port) {
  return port == 0 ? address : absl::StrCat(address.substr(0, address.rfind(':') + 1), port);
}

// A socket's file outlives the socket.
void RemoveSocketFile(const std::string& address) {
  absl::string_view path = address;
  const bool is_file = absl::ConsumePrefix(&path, "unix:") ||
                       (absl::ConsumePrefix(&path, "shm:") && absl::StartsWith(path, "/"));
  if (is_file) {
    unlink(std::string(path).c_str());
  }
}

}  // namespace

capnp::ReaderOptions PingReaders() {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = ChannelOptions::kMaxMessageWords;
  return options;
}

schema::Ping::Client NewPingServer() { return kj::heap<PingServer>(); }

absl::Status ServePings(const std::string& address, const ChannelOptions& channel) {
  const sigset_t stop_signals = BlockStopSignals();
  try {
    RpcServerOptions options(channel);
    options.upgrade = false;  // TCP is what TCP is timed by
    RpcServer server(NewPingServer(), address.c_str(), 0, PingReaders(), options);
    const unsigned port = server.getPort().wait(server.getWaitScope());
    std::cout << "serving " << BoundAddress(address, port) << std::endl;
    RunUntil(stop_signals, server);
    RemoveSocketFile(address);
    return absl::OkStatus();
  } catch (const kj::Exception& exception) {
    return absl::UnavailableError(
        absl::StrCat("serving at ", address, " failed: ", exception.getDescription().cStr(),
                     "; an address is shm:NAME, unix:/path or HOST:PORT, and free"));
  }
}

}  // namespace shoal
