// Measures the transports of this machine, and says which of their targets they meet.

#include <sys/resource.h>

#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "shoal/bench/channel_peer.h"
#include "shoal/bench/channel_workloads.h"
#include "shoal/bench/cpus.h"
#include "shoal/bench/cross_cpu.h"
#include "shoal/bench/idle_clients.h"
#include "shoal/bench/machine.h"
#include "shoal/bench/paced_workloads.h"
#include "shoal/bench/peers/peer_workloads.h"
#include "shoal/bench/ping_server.h"
#include "shoal/bench/result_json.h"
#include "shoal/bench/result_table.h"
#include "shoal/bench/rounds.h"
#include "shoal/bench/rpc_workloads.h"
#include "shoal/bench/servers.h"
#include "shoal/bench/workload.h"

ABSL_FLAG(bool, quick, false, "shorter blocks, and fewer: less than a minute");
ABSL_FLAG(absl::Duration, time, absl::Seconds(150), "begin no block after this time");
ABSL_FLAG(absl::Duration, block, absl::Milliseconds(100),
          "what a block takes, warming up left out");
ABSL_FLAG(std::string, only, "", "measure only works whose name has this in it");
ABSL_FLAG(std::string, json, "", "write the results to this file as well");
ABSL_FLAG(std::string, serve, "", "answer calls at this address until told to stop");
ABSL_FLAG(std::string, serve_sleeping, "",
          "the same, but sleep at once when nothing is to be done");
ABSL_FLAG(std::string, stay_connected, "", "be idle clients of the server at this address");
ABSL_FLAG(std::string, serve_channel, "", "do channel work at this address until told to stop");
ABSL_FLAG(std::string, serve_peer, "", "answer at this library:address until told to stop");

namespace shoal {
namespace {

constexpr char kUsage[] =
    "measures what work over shared memory takes, and over sockets and over nothing.\n"
    "  bench [--quick] [--only=WORK] [--json=FILE] [--time=DURATION] [--block=DURATION]";

struct Plan {
  absl::Duration time;
  absl::Duration block;

  // Of 100 handovers, before each block and after it: some milliseconds.
  int handover_batches() const { return block == absl::ZeroDuration() ? 1 : 20; }
};

Plan ChosenPlan() {
  if (absl::GetFlag(FLAGS_quick)) {
    return {absl::Seconds(35), absl::Milliseconds(20)};
  }
  return {absl::GetFlag(FLAGS_time), absl::GetFlag(FLAGS_block)};
}

absl::StatusOr<Cpus> ChooseCpus() {
  const std::vector<int> allowed = AllowedCpus();
  if (allowed.empty()) {
    return absl::FailedPreconditionError("the CPUs that this process may use cannot be told");
  }
  return Cpus{allowed.front(), allowed.back()};
}

std::vector<Workload> ChosenWorkloads(const Servers& servers, const PeerServers& peers,
                                      const Cpus& cpus, absl::Duration block) {
  std::vector<Workload> chosen;
  for (auto& workloads :
       {ChannelWorkloads(servers, cpus, block), PeerWorkloads(peers, cpus, block),
        RpcWorkloads(servers, cpus, block), PacedWorkloads(servers, cpus, block)}) {
    for (const Workload& workload : workloads) {
      if (absl::StrContains(workload.id.work, absl::GetFlag(FLAGS_only))) {
        chosen.push_back(workload);
      }
    }
  }
  return chosen;
}

absl::StatusOr<Block> MeasureBlock(const Workload& workload, int handover_batches) {
  const auto [client, server] = workload.cpus;
  const auto before = TimeHandover(client, server, handover_batches);
  absl::StatusOr<Samples> samples = RunOn(workload.cpu, workload.sample);
  const auto after = TimeHandover(client, server, handover_batches);
  for (const absl::Status& status : {before.status(), samples.status(), after.status()}) {
    if (!status.ok()) {
      return absl::Status(
          status.code(),
          absl::StrCat(workload.id.work, " over ", workload.id.transport, ": ", status.message()));
    }
  }
  return Block{{*before, *after}, *std::move(samples)};
}

// Rounds until `end`; the first of them whole, the last perhaps not.
absl::StatusOr<std::vector<Round>> MeasureRounds(const std::vector<Workload>& workloads,
                                                 int handover_batches, absl::Time end) {
  std::vector<Round> rounds;
  do {
    rounds.emplace_back();
    for (const Workload& workload : workloads) {
      if (rounds.size() > 1 && absl::Now() >= end) {
        break;
      }
      absl::StatusOr<Block> block = MeasureBlock(workload, handover_batches);
      if (!block.ok()) {
        return block.status();
      }
      rounds.back()[workload.id] = *std::move(block);
    }
  } while (absl::Now() < end);
  return rounds;
}

std::vector<Result> ResultsOf(const std::vector<Workload>& workloads,
                              const std::vector<Round>& rounds) {
  std::vector<Result> results;
  for (const Workload& workload : workloads) {
    if (workload.targets.empty()) {
      results.push_back(Summarize(workload.id, workload.measure, std::nullopt, rounds));
    }
    for (const Target& target : workload.targets) {
      results.push_back(Summarize(workload.id, workload.measure, target, rounds));
    }
  }
  return results;
}

absl::Status Write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  return file ? absl::OkStatus()
              : absl::PermissionDeniedError(absl::StrCat("--json=", path, " cannot be written"));
}

absl::Status MeasureAll(const Plan& plan) {
  const absl::Time end = absl::Now() + plan.time;
  const absl::StatusOr<Cpus> cpus = ChooseCpus();
  if (!cpus.ok()) {
    return cpus.status();
  }
  absl::StatusOr<Servers> servers = Servers::Start(*cpus);
  if (!servers.ok()) {
    return servers.status();
  }
  absl::StatusOr<PeerServers> peers = PeerServers::Start(*cpus);
  if (!peers.ok()) {
    return peers.status();
  }
  const std::vector<Workload> workloads = ChosenWorkloads(*servers, *peers, *cpus, plan.block);
  if (workloads.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--only=", absl::GetFlag(FLAGS_only), " leaves no work"));
  }
  const auto rounds = MeasureRounds(workloads, plan.handover_batches(), end);
  if (!rounds.ok()) {
    return rounds.status();
  }
  absl::Status stopped = servers->Stop();
  stopped.Update(peers->Stop());
  if (!stopped.ok()) {
    return stopped;
  }
  const Machine machine = ThisMachine(cpus->client, cpus->server);
  const std::vector<Result> results = ResultsOf(workloads, *rounds);
  const std::string path = absl::GetFlag(FLAGS_json);
  const absl::Status written =
      path.empty() ? absl::OkStatus() : Write(path, ToJson(machine, results));
  std::cout << ToTable(machine, results);
  return written;
}

// As many as this process may have: a server of hundreds of clients needs thousands.
void AllowAllDescriptors() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

absl::Status Run(const std::vector<char*>& arguments) {
  if (arguments.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument '", arguments[1], "'; see bench --help"));
  }
  AllowAllDescriptors();
  if (const std::string address = absl::GetFlag(FLAGS_serve); !address.empty()) {
    return ServePings(address);
  }
  if (const std::string address = absl::GetFlag(FLAGS_serve_channel); !address.empty()) {
    return ServeChannelWork(address);
  }
  if (const std::string address = absl::GetFlag(FLAGS_serve_peer); !address.empty()) {
    return ServePeer(address);
  }
  if (const std::string address = absl::GetFlag(FLAGS_serve_sleeping); !address.empty()) {
    return ServePings(address, SleepingAtOnce());
  }
  if (const std::string address = absl::GetFlag(FLAGS_stay_connected); !address.empty()) {
    return StayConnected(address);
  }
  return MeasureAll(ChosenPlan());
}

}  // namespace
}  // namespace shoal

int main(int argc, char* argv[]) {
  absl::SetProgramUsageMessage(shoal::kUsage);
  const absl::Status status = shoal::Run(absl::ParseCommandLine(argc, argv));
  if (!status.ok()) {
    std::cerr << "bench: " << status.message() << "\n";
    return 1;
  }
  return 0;
}
