// Measures what the connections of a thread cost each other, and what else is in its event loop.

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "kj/timer.h"
#include "shoal/bench/median.h"
#include "shoal/bench/ping.capnp.h"
#include "shoal/bench/ping_server.h"
#include "shoal/bench/server_process.h"
#include "shoal/rpc/client.h"

ABSL_FLAG(std::string, serve, "", "answer calls at this address until told to stop");
ABSL_FLAG(int, blocks, 21, "how many blocks to measure");
ABSL_FLAG(int, pings, 2000, "how many calls to time in a block");
ABSL_FLAG(int, ticks, 100, "how many times a timer of 1 ms goes off in a block");

namespace shoal {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kUsage[] =
    "measures how connections share an event loop.\n"
    "  event_loop [--blocks=N] [--pings=N] [--ticks=N]";

constexpr int kCallsInFlight = 64;

class Connection {
 public:
  explicit Connection(const std::string& address)
      : client_(address.c_str()), ping_(client_.getMain<schema::Ping>()) {}

  void Ping() { ping_.pingRequest().send().wait(client_.getWaitScope()); }

  // Keeps calls in flight until `stopped`.
  kj::Promise<void> Flood(const bool& stopped) {
    return ping_.pingRequest().send().then([this, &stopped](auto&&) -> kj::Promise<void> {
      return stopped ? kj::READY_NOW : Flood(stopped);
    });
  }

  RpcClient& client() { return client_; }

 private:
  RpcClient client_;
  schema::Ping::Client ping_;
};

// What a call takes when each goes to the next of `connections`.
absl::Duration TimeInTurn(const std::vector<std::unique_ptr<Connection>>& connections, int pings) {
  const auto begin = Clock::now();
  for (int i = 0; i < pings; ++i) {
    connections[i % connections.size()]->Ping();
  }
  return absl::FromChrono(Clock::now() - begin) / pings;
}

// How long a timer of 1 ms really takes, at most, while calls are in flight or none are.
absl::Duration LongestTick(Connection& connection, int ticks, int in_flight) {
  bool stopped = false;
  auto& loop = connection.client();
  auto flooding = kj::heapArrayBuilder<kj::Promise<void>>(in_flight);
  for (int i = 0; i < in_flight; ++i) {
    flooding.add(connection.Flood(stopped).eagerlyEvaluate(nullptr));
  }
  absl::Duration longest;
  for (int i = 0; i < ticks; ++i) {
    const auto begin = Clock::now();
    loop.getIoProvider().getTimer().afterDelay(1 * kj::MILLISECONDS).wait(loop.getWaitScope());
    longest = std::max(longest, absl::FromChrono(Clock::now() - begin));
  }
  stopped = true;
  kj::joinPromises(flooding.finish()).wait(loop.getWaitScope());
  return longest;
}

double Microseconds(absl::Duration duration) { return absl::ToDoubleMicroseconds(duration); }

absl::Status Run() {
  auto server = ServerProcess::Start(UnusedAddress("shm"));
  if (!server.ok()) {
    return server.status();
  }
  std::vector<std::unique_ptr<Connection>> one;
  one.push_back(std::make_unique<Connection>((*server)->address()));
  std::vector<std::unique_ptr<Connection>> two;
  two.push_back(std::make_unique<Connection>((*server)->address()));
  two.push_back(std::make_unique<Connection>((*server)->address()));
  const int pings = absl::GetFlag(FLAGS_pings);
  const int ticks = absl::GetFlag(FLAGS_ticks);
  TimeInTurn(one, pings);
  TimeInTurn(two, pings);
  std::vector<absl::Duration> alone;
  std::vector<absl::Duration> in_turn;
  std::vector<absl::Duration> idle_ticks;
  std::vector<absl::Duration> busy_ticks;
  for (int i = 0; i < absl::GetFlag(FLAGS_blocks); ++i) {
    alone.push_back(TimeInTurn(one, pings));
    in_turn.push_back(TimeInTurn(two, pings));
    idle_ticks.push_back(LongestTick(*one[0], ticks, 0));
    busy_ticks.push_back(LongestTick(*one[0], ticks, kCallsInFlight));
  }
  const double each = Microseconds(Median(alone));
  const double turns = Microseconds(Median(in_turn));
  std::cout << absl::StreamFormat(
      "medians over %d blocks\n"
      "a call over one connection: %.1f us; over two in turn: %.1f us, %.2f times\n"
      "longest of %d timers of 1 ms: %.0f us with nothing else, %.0f us beside %d calls in "
      "flight\n",
      absl::GetFlag(FLAGS_blocks), each, turns, turns / each, ticks,
      Microseconds(Median(idle_ticks)), Microseconds(Median(busy_ticks)), kCallsInFlight);
  return absl::OkStatus();
}

}  // namespace
}  // namespace shoal

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(shoal::kUsage);
  absl::ParseCommandLine(argc, argv);
  const std::string serve = absl::GetFlag(FLAGS_serve);
  const absl::Status done = serve.empty() ? shoal::Run() : shoal::ServePings(serve);
  if (!done.ok()) {
    std::cerr << "event_loop: " << done << "\n";
    return 1;
  }
  return 0;
}
