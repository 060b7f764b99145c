#include "shoal/bench/rpc_workloads.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/bench/cross_cpu.h"
#include "shoal/bench/ping_calls.h"
#include "shoal/bench/rpc_work.h"
#include "shoal/bench/server_process.h"

namespace shoal {
namespace {

constexpr char kShm[] = "shm";
constexpr char kUnix[] = "unix";
constexpr char kTcp[] = "tcp";
// Calls within one process, on the CPU of either side.
constexpr char kClientLoop[] = "loop client";
constexpr char kServerLoop[] = "loop server";

constexpr char kPing[] = "ping";
constexpr char kOneCpuPing[] = "ping, one CPU";
constexpr char kIdlePing[] = "1 ms idle, ping";
constexpr char kSink[] = "sink";
constexpr char kEcho[] = "echo";
constexpr char kRead[] = "read what the other CPU wrote";
constexpr uint64_t kPingBytes = 16;

// What a row is called, what it does, and how much each of its calls carries.
struct Calls {
  const char* name;
  RpcWork work;
  uint64_t bytes;
};

constexpr Calls kCalls[] = {
    {kPing, RpcWork::kPing, kPingBytes},
    {"64 calls in flight", RpcWork::kInFlight, kPingBytes},
    {kSink, RpcWork::kSink, kSinkBytes},
    {kEcho, RpcWork::kEcho, kSinkBytes},
    {"sum a list", RpcWork::kSum, SumCall::kBytes},
    {"stream method, 128 calls", RpcWork::kStream, StreamCall::kChunkBytes},
};

// What the same calls take with no transport at all: the mean of the two CPUs, as a call between
// them does half of its work on each.
std::optional<absl::Duration> Loopback(const WorkId& id, const Round& round) {
  const auto client = TimeOf({id.work, kClientLoop, id.size}, round);
  const auto server = TimeOf({id.work, kServerLoop, id.size}, round);
  return client && server ? std::optional((*client + *server) / 2) : std::nullopt;
}

Target PingTarget(const WorkId& id) {
  return TimeTarget("loopback + 2 floor",
                    [id](const Round& round, const Block& block) -> std::optional<absl::Duration> {
                      const auto loop = Loopback(id, round);
                      return loop ? std::optional(*loop + 2 * block.floor.Mean()) : std::nullopt;
                    });
}

Target LoopbackTarget(const std::string& text, double factor, const WorkId& id) {
  return TimeTarget(
      text, [factor, id](const Round& round, const Block&) -> std::optional<absl::Duration> {
        const auto loop = Loopback(id, round);
        return loop ? std::optional(factor * *loop) : std::nullopt;
      });
}

Target ReadTarget(const std::string& text, int reads, const WorkId& id) {
  return TimeTarget(
      text, [reads, id](const Round& round, const Block&) -> std::optional<absl::Duration> {
        const auto loop = Loopback(id, round);
        const auto read = TimeOf({kRead, "bare", kSinkBytes}, round);
        return loop && read ? std::optional(1.1 * *loop + reads * *read) : std::nullopt;
      });
}

// `part` of what the same work takes over another transport.
Target PartOf(const char* transport, const std::string& text, double part, const WorkId& id) {
  return PartTarget(text, part, {id.work, transport, id.size});
}

std::vector<Target> TargetsOf(RpcWork work, const WorkId& id) {
  switch (work) {
    case RpcWork::kPing:
      return {PingTarget(id), PartOf(kUnix, "unix / 12", 1.0 / 12, id),
              PartOf(kTcp, "tcp / 15", 1.0 / 15, id)};
    case RpcWork::kInFlight:
      return {LoopbackTarget("0.6 loopback", 0.6, id)};
    case RpcWork::kSink:
      return {ReadTarget("1.1 loopback + read", 1, id), PartOf(kUnix, "unix / 15", 1.0 / 15, id)};
    case RpcWork::kEcho:
      return {ReadTarget("1.1 loopback + 2 read", 2, id), PartOf(kUnix, "unix / 15", 1.0 / 15, id)};
    case RpcWork::kSum:
    case RpcWork::kStream:
      break;
  }
  return {};
}

absl::StatusOr<Samples> SampleRead(const Cpus& cpus, absl::Duration time) {
  constexpr int kReads = 20;
  Samples samples;
  if (cpus.client == cpus.server) {
    return samples;
  }
  const absl::Time end = absl::Now() + time;
  do {
    const auto read = TimeCrossRead(cpus.client, cpus.server, kSinkBytes, kReads);
    if (!read.ok()) {
      return read.status();
    }
    samples.times.push_back(*read);
  } while (absl::Now() < end);
  return samples;
}

absl::StatusOr<Samples> SampleFreshMemory(const std::string& transport) {
  constexpr int kConnections = 32;
  const auto server = ServerProcess::Start(UnusedAddress(transport));
  if (!server.ok()) {
    return server.status();
  }
  return SampleMemory((*server)->address(), (*server)->pid(), kConnections);
}

class List {
 public:
  List(const Servers& servers, const Cpus& cpus, absl::Duration time)
      : servers_(servers), cpus_(cpus), time_(time) {}

  void AddRead() {
    Add({.id = {kRead, "bare", kSinkBytes},
         .sample = [cpus = cpus_, time = time_] { return SampleRead(cpus, time); }});
  }

  void AddCalls(const Calls& calls) {
    const auto loopback = [work = calls.work, time = time_] {
      return SampleLoopbackCalls(work, {time});
    };
    Add({.id = {calls.name, kClientLoop, calls.bytes}, .sample = loopback});
    for (const char* transport : {kShm, kUnix, kTcp}) {
      const WorkId id = {calls.name, transport, calls.bytes};
      Add({.id = id,
           .measure = calls.work == RpcWork::kStream ? Measure::kStream : Measure::kTime,
           .targets = transport == kShm ? TargetsOf(calls.work, id) : std::vector<Target>(),
           .sample = [address = Address(transport), work = calls.work, time = time_] {
             return SampleCalls(address, work, {time});
           }});
    }
    AddOn(cpus_.server, {.id = {calls.name, kServerLoop, calls.bytes}, .sample = loopback});
  }

  void AddIdle() {
    for (const char* transport : {kShm, kUnix, kTcp}) {
      const WorkId id = {kIdlePing, transport, kPingBytes};
      std::vector<Target> targets;
      if (transport == kShm) {
        targets = {PartOf(kUnix, "unix / 2", 0.5, id)};
      }
      Add({.id = id, .targets = targets, .sample = [address = Address(transport), time = time_] {
             return SampleCalls(address, RpcWork::kPing, {time, absl::Milliseconds(1)});
           }});
    }
  }

  void AddManyClients() {
    for (const int clients : {1, 2, 8, 64, 256}) {
      const std::string name =
          absl::StrCat("ping, ", clients, clients == 1 ? " client" : " clients");
      for (const char* transport : {kShm, kUnix, kTcp}) {
        Add({.id = {name, transport, kPingBytes},
             .sample = [address = Address(transport), clients, time = time_] {
               return SampleManyClients(address, clients, {time});
             }});
      }
    }
  }

  void AddOnOneCpu() {
    for (const char* transport : {kShm, kUnix, kTcp}) {
      const WorkId id = {kOneCpuPing, transport, kPingBytes};
      std::vector<Target> targets;
      if (transport == kShm) {
        targets = {PartOf(kUnix, "unix", 1, id)};
      }
      Workload workload = {
          .id = id,
          .targets = targets,
          .sample = [address = servers_.beside_client(transport).address(), time = time_] {
            return SampleCalls(address, RpcWork::kPing, {time});
          }};
      workload.cpus = {cpus_.client, cpus_.client};
      workload.cpu = cpus_.client;
      workloads_.push_back(std::move(workload));
    }
  }

  void AddConnections() {
    for (const char* transport : {kShm, kUnix, kTcp}) {
      Add({.id = {"connect and ping", transport, kPingBytes},
           .sample = [address = Address(transport), time = time_] {
             return SampleRpcConnect(address, {time});
           }});
      Add({.id = {"memory of a connection", transport, 0},
           .measure = Measure::kMemory,
           .sample = [transport] { return SampleFreshMemory(transport); }});
    }
  }

  std::vector<Workload> Take() { return std::move(workloads_); }

 private:
  std::string Address(const char* transport) const { return servers_.across(transport).address(); }

  void Add(Workload workload) { AddOn(cpus_.client, std::move(workload)); }

  void AddOn(int cpu, Workload workload) {
    workloads_.push_back(AcrossCpus(std::move(workload), cpus_, cpu));
  }

  const Servers& servers_;
  const Cpus cpus_;
  const absl::Duration time_;
  std::vector<Workload> workloads_;
};

}  // namespace

std::vector<Workload> RpcWorkloads(const Servers& servers, const Cpus& cpus, absl::Duration time) {
  List list(servers, cpus, time);
  list.AddRead();
  for (const Calls& calls : kCalls) {
    list.AddCalls(calls);
  }
  list.AddIdle();
  list.AddManyClients();
  list.AddOnOneCpu();
  list.AddConnections();
  return list.Take();
}

}  // namespace shoal
