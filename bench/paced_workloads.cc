#include "shoal/bench/paced_workloads.h"

#include <sys/types.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "shoal/bench/idle_clients.h"
#include "shoal/bench/paced_work.h"
#include "shoal/bench/process_usage.h"
#include "shoal/bench/rpc_work.h"
#include "shoal/bench/server_process.h"

namespace shoal {
namespace {

constexpr char kShm[] = "shm";
constexpr char kUnix[] = "unix";
constexpr uint64_t kPingBytes = 16;

// At this mean gap no side may sleep, and at that one the CPU time counts.
constexpr absl::Duration kShortGap = absl::Microseconds(10);
constexpr absl::Duration kLongGap = absl::Microseconds(2000);

// That nobody sleeps before having spun for as long as a channel does by default. exp(-spin / gap)
// of the gaps are longer than that, and in such each side may sleep once.
Target SpinTarget(absl::Duration mean_gap) {
  const absl::Duration spin = ChannelOptions().spin;
  const double most = 2 * std::exp(-absl::FDivDuration(spin, mean_gap));
  return {absl::StrCat("no sleep in gaps below ", absl::FormatDuration(spin)),
          [most](const Round&, const Block&) { return std::optional(most); }, Quantity::kSleeps};
}

// That an operation takes at most `factor` of the CPU time that one of `other` takes in the same
// round.
Target CpuTarget(std::string text, double factor, const WorkId& other) {
  return {std::move(text),
          [factor, other](const Round& round, const Block&) -> std::optional<double> {
            const auto found = round.find(other);
            const auto cpu = found == round.end() ? std::nullopt : found->second.Of(Quantity::kCpu);
            return cpu ? std::optional(factor * *cpu) : std::nullopt;
          },
          Quantity::kCpu};
}

std::vector<Target> TargetsOf(absl::Duration gap, const WorkId& id) {
  if (gap == kShortGap) {
    return {SpinTarget(gap)};
  }
  if (gap == kLongGap) {
    return {CpuTarget("1.5 sleeping at once", 1.5, {id.work, kSleepingShm, id.size})};
  }
  return {};
}

// Pings to the server at `address`, to which other clients are connected that call nothing.
absl::StatusOr<Samples> SampleBesideIdleClients(const std::string& address, absl::Duration time) {
  const auto idle = ServerProcess::Start(address, "stay_connected");
  return idle.ok() ? SampleCalls(address, RpcWork::kPing, {time}) : idle.status();
}

// What idle clients and their server use together: an operation is kIdleTime of that.
constexpr absl::Duration kIdleTime = absl::Milliseconds(200);

absl::StatusOr<Samples> SampleIdleness(const std::string& address, pid_t server) {
  // Long enough for whatever follows the last answer.
  constexpr absl::Duration kSettling = absl::Milliseconds(20);
  const auto idle = ServerProcess::Start(address, "stay_connected");
  if (!idle.ok()) {
    return idle.status();
  }
  absl::SleepFor(kSettling);
  const auto used = UsageWithin(kIdleTime, server, (*idle)->pid());
  return used.ok() ? absl::StatusOr<Samples>(Samples{.operations = 1, .used = *used})
                   : used.status();
}

class List {
 public:
  List(const Servers& servers, const Cpus& cpus, absl::Duration time)
      : servers_(servers), cpus_(cpus), time_(time) {}

  void AddGaps() {
    for (const absl::Duration gap : {kShortGap, absl::Microseconds(100), kLongGap}) {
      const std::string work =
          absl::StrCat("ping, gaps of ", absl::ToInt64Microseconds(gap), " us");
      AddGap(work, gap, kShm, ChannelOptions());
      AddGap(work, gap, kSleepingShm, SleepingAtOnce());
      AddGap(work, gap, kUnix, ChannelOptions());
    }
  }

  void AddBesideIdle() {
    const WorkId alone = {"ping", kShm, kPingBytes};
    for (const char* transport : {kShm, kUnix}) {
      std::vector<Target> targets;
      if (transport == kShm) {
        targets = {PartTarget("1.2 ping", 1.2, alone)};
      }
      Add({.id = {absl::StrCat("ping beside ", kIdleClients, " idle"), transport, kPingBytes},
           .targets = targets,
           .sample = [address = Address(transport), time = time_] {
             return SampleBesideIdleClients(address, time);
           }});
    }
  }

  void AddIdle() {
    for (const char* transport : {kShm, kUnix}) {
      std::vector<Target> targets;
      if (transport == kShm) {
        targets = {NoneTarget("no CPU", Quantity::kCpu)};
      }
      const ServerProcess& server = servers_.across(transport);
      Add({.id = {absl::StrCat(kIdleClients, " idle for ", absl::FormatDuration(kIdleTime)),
                  transport, 0},
           .targets = targets,
           .sample = [address = server.address(), pid = server.pid()] {
             return SampleIdleness(address, pid);
           }});
    }
  }

  std::vector<Workload> Take() { return std::move(workloads_); }

 private:
  std::string Address(const char* transport) const { return servers_.across(transport).address(); }

  void AddGap(const std::string& work, absl::Duration gap, const char* transport,
              const ChannelOptions& channel) {
    const WorkId id = {work, transport, kPingBytes};
    Add({.id = id,
         .targets = transport == kShm ? TargetsOf(gap, id) : std::vector<Target>(),
         .sample = [address = Address(transport), gap, channel, time = time_] {
           return SamplePacedPings(address, gap, channel, {time});
         }});
  }

  void Add(Workload workload) {
    workloads_.push_back(AcrossCpus(std::move(workload), cpus_, cpus_.client));
  }

  const Servers& servers_;
  const Cpus cpus_;
  const absl::Duration time_;
  std::vector<Workload> workloads_;
};

}  // namespace

std::vector<Workload> PacedWorkloads(const Servers& servers, const Cpus& cpus,
                                     absl::Duration time) {
  List list(servers, cpus, time);
  list.AddGaps();
  list.AddBesideIdle();
  list.AddIdle();
  return list.Take();
}

}  // namespace shoal
