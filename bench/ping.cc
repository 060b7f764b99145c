// Times a 16-byte Cap'n Proto call and its answer, between two processes.

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "shoal/bench/ping_client.h"
#include "shoal/bench/ping_server.h"
#include "shoal/bench/ping_times.h"
#include "shoal/bench/server_process.h"

ABSL_FLAG(std::string, serve, "", "answer pings at this address until told to stop");
ABSL_FLAG(std::string, connect, "", "ping the server at this address");
ABSL_FLAG(int, count, 20000, "how many pings to time, over each transport");

namespace shoal {
namespace {

constexpr char kUsage[] =
    "times a round trip of 16 bytes between two processes.\n"
    "  ping                                     over shm, unix and tcp, each with a server of its "
    "own\n"
    "  ping --serve=ADDRESS                     the server alone\n"
    "  ping --connect=ADDRESS [--count=N]       the client alone, its pings all in a row\n"
    "ADDRESS is shm:NAME, unix:/path or HOST:PORT.";

// Pings in a row over one transport before it is the next one's turn: some milliseconds over shared
// memory, so that all transports see each state of the machine.
constexpr int kBlock = 1000;

double Microseconds(absl::Duration duration) { return absl::ToDoubleMicroseconds(duration); }

absl::Status RunClient(const std::string& address, int count) {
  const absl::StatusOr<std::vector<absl::Duration>> round_trips = PingInARow(address, count);
  if (!round_trips.ok()) {
    return round_trips.status();
  }
  PingTimes times;
  times.AddBlock(*round_trips);
  std::cout << absl::StreamFormat("%d pings over %s: median %.1f us, p99 %.1f us\n", count, address,
                                  Microseconds(times.Median()), Microseconds(times.Percentile99()));
  return absl::OkStatus();
}

struct Transport {
  std::string name;
  std::unique_ptr<ServerProcess> server;
  PingTimes times;
};

absl::StatusOr<std::vector<Transport>> StartServers() {
  std::vector<Transport> transports;
  for (const std::string name : {"shm", "unix", "tcp"}) {
    absl::StatusOr<std::unique_ptr<ServerProcess>> server =
        ServerProcess::Start(UnusedAddress(name));
    if (!server.ok()) {
      return server.status();
    }
    transports.push_back({name, *std::move(server), PingTimes()});
  }
  return transports;
}

absl::Status PingInTurns(std::vector<Transport>& transports, int count) {
  for (int done = 0; done < count; done += kBlock) {
    for (Transport& transport : transports) {
      const absl::StatusOr<std::vector<absl::Duration>> round_trips =
          PingInARow(transport.server->address(), std::min(kBlock, count - done));
      if (!round_trips.ok()) {
        return round_trips.status();
      }
      transport.times.AddBlock(*round_trips);
    }
  }
  return absl::OkStatus();
}

void Print(const std::vector<Transport>& transports, int count) {
  std::cout << absl::StreamFormat(
      "%d pings of 16 bytes over each, in blocks of %d that take turns\n", count,
      std::min(kBlock, count));
  std::cout << absl::StreamFormat("%6s %12s %12s %8s\n", "", "median", "p99", "to shm");
  const absl::Duration shm = transports.front().times.Median();
  for (const Transport& transport : transports) {
    const PingTimes& times = transport.times;
    std::cout << absl::StreamFormat(
        "%6s %9.1f us %9.1f us %8.1f\n", transport.name, Microseconds(times.Median()),
        Microseconds(times.Percentile99()), absl::FDivDuration(times.Median(), shm));
  }
  std::cout << "\n";
  for (const Transport& transport : transports) {
    std::cout << absl::StreamFormat("round trip over %s: %.1f us\n", transport.name,
                                    Microseconds(transport.times.Median()));
  }
}

absl::Status RunAll(int count) {
  absl::StatusOr<std::vector<Transport>> transports = StartServers();
  if (!transports.ok()) {
    return transports.status();
  }
  if (absl::Status pinged = PingInTurns(*transports, count); !pinged.ok()) {
    return pinged;
  }
  for (Transport& transport : *transports) {
    if (absl::Status stopped = transport.server->Stop(); !stopped.ok()) {
      return stopped;
    }
  }
  Print(*transports, count);
  return absl::OkStatus();
}

absl::Status Run(const std::vector<char*>& arguments) {
  const std::string serve = absl::GetFlag(FLAGS_serve);
  const std::string connect = absl::GetFlag(FLAGS_connect);
  const int count = absl::GetFlag(FLAGS_count);
  if (arguments.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument '", arguments[1], "'; see ping --help"));
  }
  if (!serve.empty() && !connect.empty()) {
    return absl::InvalidArgumentError("--serve and --connect exclude each other");
  }
  if (count < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--count is ", count, ", and must be at least 1"));
  }
  if (!serve.empty()) {
    return ServePings(serve);
  }
  return connect.empty() ? RunAll(count) : RunClient(connect, count);
}

}  // namespace
}  // namespace shoal

int main(int argc, char* argv[]) {
  absl::SetProgramUsageMessage(shoal::kUsage);
  const absl::Status status = shoal::Run(absl::ParseCommandLine(argc, argv));
  if (!status.ok()) {
    std::cerr << "ping: " << status.message() << "\n";
    return 1;
  }
  return 0;
}
