// Compares calls over shared memory with the same calls over nothing, measured beside them.

#include <algorithm>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "shoal/bench/call_blocks.h"
#include "shoal/bench/call_times.h"
#include "shoal/bench/cpus.h"
#include "shoal/bench/cross_cpu.h"
#include "shoal/bench/ping_server.h"
#include "shoal/bench/server_process.h"

ABSL_FLAG(std::string, serve, "", "answer calls at this address until told to stop");
ABSL_FLAG(int, blocks, 100, "how many blocks to measure, at most");
ABSL_FLAG(absl::Duration, time, absl::Seconds(25), "begin no block after this time");
ABSL_FLAG(int, pings, 2000, "how many calls of 16 bytes to time in a block");
ABSL_FLAG(int, sinks, 100, "how many calls of 1 MiB to time in a block");

namespace shoal {
namespace {

constexpr char kUsage[] =
    "compares calls over shared memory with the same calls within one process.\n"
    "  calls [--blocks=N] [--time=DURATION] [--pings=N] [--sinks=N]";

// Some milliseconds: 20 times 100 handovers.
constexpr int kHandoverBatches = 20;

struct Cpus {
  int client;
  int server;
};

struct Block {
  CallBlock ping;
  CallBlock sink;
};

absl::StatusOr<Cpus> ChooseCpus() {
  const std::vector<int> allowed = AllowedCpus();
  if (allowed.empty()) {
    return absl::FailedPreconditionError("the CPUs that this process may use cannot be told");
  }
  return Cpus{allowed.front(), allowed.back()};
}

absl::StatusOr<std::unique_ptr<ServerProcess>> StartServer(Cpus cpus) {
  // A process inherits where it may run, and ends with the thread that started it: this one.
  if (absl::Status pinned = PinTo(cpus.server); !pinned.ok()) {
    return pinned;
  }
  absl::StatusOr<std::unique_ptr<ServerProcess>> server =
      ServerProcess::Start(UnusedAddress("shm"));
  if (absl::Status pinned = PinTo(cpus.client); !pinned.ok()) {
    return pinned;
  }
  return server;
}

absl::StatusOr<Block> MeasureBlock(const std::string& address, Cpus cpus, CallCounts counts) {
  const auto loopback = [&] { return TimeLoopbackCalls(counts); };
  const auto floor_before = TimeHandover(cpus.client, cpus.server, kHandoverBatches);
  const auto client_loopback = RunOn(cpus.client, loopback);
  const auto shm = RunOn(cpus.client, [&] { return TimeCallsTo(address, counts); });
  const auto server_loopback = RunOn(cpus.server, loopback);
  const auto read = TimeCrossRead(cpus.client, cpus.server, kSinkBytes, counts.sinks);
  const auto floor_after = TimeHandover(cpus.client, cpus.server, kHandoverBatches);
  for (const absl::Status& status :
       {floor_before.status(), client_loopback.status(), shm.status(), server_loopback.status(),
        read.status(), floor_after.status()}) {
    if (!status.ok()) {
      return status;
    }
  }
  const auto block = [&](absl::Duration CallTimes::*call) {
    return CallBlock{.shm = *shm.*call,
                     .client_loopback = *client_loopback.*call,
                     .server_loopback = *server_loopback.*call,
                     .floor = {*floor_before, *floor_after},
                     .read = *read};
  };
  return Block{block(&CallTimes::ping), block(&CallTimes::sink)};
}

absl::StatusOr<std::vector<Block>> MeasureBlocks(const std::string& address, Cpus cpus,
                                                 CallCounts counts) {
  const absl::Time end = absl::Now() + absl::GetFlag(FLAGS_time);
  const size_t most = absl::GetFlag(FLAGS_blocks);
  std::vector<Block> blocks;
  do {
    absl::StatusOr<Block> block = MeasureBlock(address, cpus, counts);
    if (!block.ok()) {
      return block.status();
    }
    blocks.push_back(*block);
  } while (blocks.size() < most && absl::Now() < end);
  return blocks;
}

double Microseconds(absl::Duration duration) { return absl::ToDoubleMicroseconds(duration); }

void PrintCall(const char* work, CallLimit limit, const std::vector<CallBlock>& blocks) {
  const CallSummary summary = Summarize(limit, blocks);
  std::cout << absl::StreamFormat(
      "%-10s %8.2f %8.2f %8.2f %8.3f %8.2f %8.2f %6.2f  %s\n", work, Microseconds(summary.shm),
      Microseconds(summary.client_loopback), Microseconds(summary.server_loopback),
      Microseconds(summary.floor), Microseconds(summary.read), Microseconds(summary.limit),
      summary.ratio, summary.Met() ? "yes" : "no");
}

// The table of `blocks`; nothing where there are none.
void PrintTable(const char* title, const std::vector<Block>& blocks, Cpus cpus) {
  if (blocks.empty()) {
    return;
  }
  std::cout << absl::StreamFormat(
      "\n%d blocks %s; medians over blocks, in us\n%-10s %8s %8s %8s %8s %8s %8s %6s  %s\n",
      blocks.size(), title, "work", "shm", absl::StrCat("loop@", cpus.client),
      absl::StrCat("loop@", cpus.server), "floor", "read", "target", "ratio", "met");
  std::vector<CallBlock> pings;
  std::vector<CallBlock> sinks;
  for (const Block& block : blocks) {
    pings.push_back(block.ping);
    sinks.push_back(block.sink);
  }
  PrintCall("16 bytes", CallLimit::kHandovers, pings);
  PrintCall("1 MiB", CallLimit::kRead, sinks);
}

void Print(const std::vector<Block>& blocks, Cpus cpus, CallCounts counts) {
  std::cout << absl::StreamFormat(
      "client on CPU %d, server on CPU %d%s\n", cpus.client, cpus.server,
      cpus.client == cpus.server ? ": only one may be used, so floor and read are 0" : "");
  std::cout << absl::StreamFormat(
      "%d calls of 16 bytes both ways and %d of 1 MiB in a block, each one at a time\n"
      "loop@N: the call within one process, on CPU N; loop: the mean of both\n"
      "floor: a cache line there and back; read: 1 MiB that the other CPU has just written\n"
      "target: loop + 2 floor for 16 bytes, 1.1 loop + read for 1 MiB\n"
      "ratio: shm to the target, within a block\n",
      counts.pings, counts.sinks);
  std::vector<Block> steady;
  std::vector<Block> moved;
  std::partition_copy(blocks.begin(), blocks.end(), std::back_inserter(steady),
                      std::back_inserter(moved),
                      [](const Block& block) { return block.ping.floor.Steady(); });
  PrintTable("with a steady floor", steady, cpus);
  PrintTable("whose floor moved by more than 30 %", moved, cpus);
}

absl::Status Compare(CallCounts counts) {
  const absl::StatusOr<Cpus> cpus = ChooseCpus();
  if (!cpus.ok()) {
    return cpus.status();
  }
  const absl::StatusOr<std::unique_ptr<ServerProcess>> server = StartServer(*cpus);
  if (!server.ok()) {
    return server.status();
  }
  const auto blocks = MeasureBlocks((*server)->address(), *cpus, counts);
  if (!blocks.ok()) {
    return blocks.status();
  }
  if (absl::Status stopped = (*server)->Stop(); !stopped.ok()) {
    return stopped;
  }
  Print(*blocks, *cpus, counts);
  return absl::OkStatus();
}

absl::Status Run(const std::vector<char*>& arguments) {
  if (arguments.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument '", arguments[1], "'; see calls --help"));
  }
  if (const std::string address = absl::GetFlag(FLAGS_serve); !address.empty()) {
    return ServePings(address);
  }
  for (const auto* flag : {&FLAGS_blocks, &FLAGS_pings, &FLAGS_sinks}) {
    if (const int value = absl::GetFlag(*flag); value < 1) {
      return absl::InvalidArgumentError(absl::StrCat("--",
                                                     absl::GetFlagReflectionHandle(*flag).Name(),
                                                     " is ", value, ", and must be at least 1"));
    }
  }
  return Compare({absl::GetFlag(FLAGS_pings), absl::GetFlag(FLAGS_sinks)});
}

}  // namespace
}  // namespace shoal

int main(int argc, char* argv[]) {
  absl::SetProgramUsageMessage(shoal::kUsage);
  const absl::Status status = shoal::Run(absl::ParseCommandLine(argc, argv));
  if (!status.ok()) {
    std::cerr << "calls: " << status.message() << "\n";
    return 1;
  }
  return 0;
}
