#include "shoal/bench/peers/peer_workloads.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <cstdint>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "shoal/bench/cpus.h"
#include "shoal/bench/peers/peer_libraries.h"
#include "shoal/bench/sampling.h"
#include "shoal/bench/usage.h"
#include "shoal/bench/word_sum.h"

namespace shoal {
namespace {

constexpr char kSeparator[] = ":";

absl::StatusOr<Samples> SamplePeer(const PeerLibrary& library, const std::string& address,
                                   uint64_t bytes, absl::Duration time) {
  absl::StatusOr<std::unique_ptr<PeerClient>> client = library.connect(address);
  if (!client.ok()) {
    return client.status();
  }
  const auto ask = [&](uint64_t sequence) {
    const absl::StatusOr<uint64_t> sum = (*client)->Ask(sequence, bytes);
    return !sum.ok()                            ? sum.status()
           : *sum == FilledSum(sequence, bytes) ? absl::OkStatus()
                                                : absl::DataLossError("the answer is wrong");
  };
  const SampleBudget budget{time};
  const auto batch = [&](Samples& samples) {
    absl::Status taken;
    for (int i = 0; taken.ok() && i < BatchOf(bytes, budget); ++i) {
      taken = TakeSample(ask, budget, samples);
    }
    return taken;
  };
  // What it uses is spread over threads that are not ours to count.
  absl::StatusOr<Samples> samples =
      TakeBatches(budget, batch, [] { return absl::StatusOr<Usage>(Usage()); });
  if (samples.ok()) {
    samples->used.reset();
  }
  return samples;
}

}  // namespace

absl::StatusOr<PeerServers> PeerServers::Start(const Cpus& cpus) {
  PeerServers servers;
  // A process inherits where it may run.
  absl::Status started = PinTo(cpus.server);
  for (const PeerLibrary& library : PeerLibraries()) {
    if (!started.ok()) {
      break;
    }
    const std::string address = UnusedAddress("shm").substr(strlen("shm:"));
    auto process =
        ServerProcess::Start(absl::StrCat(library.name, kSeparator, address), "serve_peer");
    started = process.status();
    if (started.ok()) {
      servers.servers_.push_back({library, address, *std::move(process)});
    }
  }
  started.Update(PinTo(cpus.client));
  if (!started.ok()) {
    return started;
  }
  return servers;
}

PeerServers::~PeerServers() { Stop().IgnoreError(); }

absl::Status PeerServers::Stop() {
  absl::Status stopped;
  for (Server& server : servers_) {
    stopped.Update(server.process->Stop());
    server.library.clean_up(server.address);
  }
  return stopped;
}

absl::Status ServePeer(const std::string& address) {
  signal(SIGTERM, [](int) { _exit(0); });
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(address, absl::MaxSplits(kSeparator, 1));
  std::cout << "serving " << address;  // seen when the line ends
  for (const PeerLibrary& library : PeerLibraries()) {
    if (library.name == parts.first) {
      return library.serve(parts.second, [] { std::cout << std::endl; });
    }
  }
  return absl::NotFoundError(
      absl::StrCat("no library named '", parts.first, "' was installed when this was built"));
}

std::vector<Workload> PeerWorkloads(const PeerServers& servers, const Cpus& cpus,
                                    absl::Duration time) {
  std::vector<Workload> workloads;
  for (const PeerServers::Server& server : servers.all()) {
    for (const uint64_t bytes :
         {uint64_t{64}, uint64_t{1} << 10, uint64_t{1} << 16, uint64_t{1} << 20}) {
      workloads.push_back({.id = {"round trip, read whole", server.library.name, bytes},
                           .cpus = cpus,
                           .cpu = cpus.client,
                           .sample = [library = server.library, address = server.address, bytes,
                                      time] { return SamplePeer(library, address, bytes, time); }});
    }
  }
  return workloads;
}

}  // namespace shoal
