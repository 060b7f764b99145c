#include "shoal/bench/servers.h"

#include <utility>

#include "shoal/bench/cpus.h"

namespace shoal {

namespace {

struct Kind {
  const char* name;
  const char* transport;
  const char* flag;  // which makes this program such a server
};

constexpr Kind kKinds[] = {
    {"channel", "shm", "serve_channel"},
    {"shm", "shm", "serve"},
    {"unix", "unix", "serve"},
    {"tcp", "tcp", "serve"},
    {kSleepingShm, "shm", "serve_sleeping"},
};

}  // namespace

ChannelOptions SleepingAtOnce() {
  ChannelOptions options;
  options.spin = absl::ZeroDuration();
  return options;
}

absl::StatusOr<Servers::Processes> Servers::StartOn(int cpu) {
  // A process inherits where it may run.
  if (absl::Status pinned = PinTo(cpu); !pinned.ok()) {
    return pinned;
  }
  Processes processes;
  for (const Kind& kind : kKinds) {
    auto process = ServerProcess::Start(UnusedAddress(kind.transport), kind.flag);
    if (!process.ok()) {
      return process.status();
    }
    processes[kind.name] = *std::move(process);
  }
  return processes;
}

absl::StatusOr<Servers> Servers::Start(const Cpus& cpus) {
  absl::StatusOr<Processes> across = StartOn(cpus.server);
  absl::StatusOr<Processes> beside_client = StartOn(cpus.client);
  if (!across.ok() || !beside_client.ok()) {
    return across.ok() ? beside_client.status() : across.status();
  }
  Servers servers;
  servers.across_ = *std::move(across);
  servers.beside_client_ = *std::move(beside_client);
  return servers;
}

absl::Status Servers::Stop() {
  absl::Status stopped;
  for (Processes* processes : {&across_, &beside_client_}) {
    for (auto& [kind, process] : *processes) {
      stopped.Update(process->Stop());
    }
  }
  return stopped;
}

}  // namespace shoal
