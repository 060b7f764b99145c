#include "shoal/bench/channel_workloads.h"

#include <cstdint>
#include <string>

#include "shoal/bench/channel_work.h"
#include "shoal/bench/cross_cpu.h"
#include "shoal/bench/slot_stream.h"

namespace shoal {
namespace {

using schema::Work;

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kMiB = kKiB * kKiB;
constexpr uint64_t kTickBytes = 64;

constexpr char kShm[] = "shm";
constexpr char kBare[] = "bare";  // no transport
constexpr char kWhole[] = "round trip, read whole";
constexpr char kHeader[] = "round trip, header read";
constexpr char kIdle[] = "1 ms idle, round trip";
constexpr char kBuild[] = "building alone";
constexpr char kStreamed[] = "stream, read whole";

// Which message has `bytes` of payload.
Work RoundTripOf(uint64_t bytes) {
  return bytes == 0 ? Work::EMPTY : bytes == kTickBytes ? Work::TICK : Work::WHOLE;
}

Target HandoverTarget() {
  return TimeTarget("1.2 floor + 120 ns", [](const Round&, const Block& block) {
    return std::optional(1.2 * block.floor.Mean() + absl::Nanoseconds(120));
  });
}

Target BuildTarget(uint64_t bytes) {
  return TimeTarget(
      "1.2 floor + 120 ns + building",
      [bytes](const Round& round, const Block& block) -> std::optional<absl::Duration> {
        const auto build = TimeOf({kBuild, kShm, bytes}, round);
        return build ? std::optional(1.2 * block.floor.Mean() + absl::Nanoseconds(120) + *build)
                     : std::nullopt;
      });
}

Target RateTarget(uint64_t bytes) {
  return TimeTarget("0.8 of the bare loop's rate",
                    [bytes](const Round& round, const Block&) -> std::optional<absl::Duration> {
                      const auto bare = TimeOf({kStreamed, kBare, bytes}, round);
                      return bare ? std::optional(*bare / 0.8) : std::nullopt;
                    });
}

Target FixedTarget(const std::string& text, absl::Duration limit) {
  return TimeTarget(text, [limit](const Round&, const Block&) { return std::optional(limit); });
}

// A stream between two CPUs with no channel, for as long as `time`: `stream(writer, reader, count)`
// is what one of `count` messages takes.
template <typename Stream>
absl::StatusOr<Samples> SampleBareStream(Stream stream, const Cpus& cpus, int count,
                                         absl::Duration time) {
  Samples samples;
  if (cpus.client == cpus.server) {
    return samples;
  }
  const absl::Time end = absl::Now() + time;
  do {
    const auto each = stream(cpus.client, cpus.server, count);
    if (!each.ok()) {
      return each.status();
    }
    samples.times.push_back(*each);
  } while (absl::Now() < end);
  return samples;
}

class List {
 public:
  List(const Servers& servers, const Cpus& cpus, absl::Duration time)
      : servers_(servers), cpus_(cpus), time_(time) {}

  void AddRoundTrips() {
    for (const uint64_t bytes : {uint64_t{0}, kTickBytes, kKiB, 64 * kKiB, kMiB, 64 * kMiB}) {
      std::vector<Target> targets;
      if (bytes == kTickBytes) {
        targets = {AcrossCpus(HandoverTarget())};
      }
      Add(kWhole, bytes, RoundTripOf(bytes), targets);
    }
    AddBuild(64 * kMiB);
    for (const uint64_t bytes : {kKiB, 64 * kKiB, kMiB, 64 * kMiB}) {
      std::vector<Target> targets;
      if (bytes == 64 * kMiB) {
        targets = {AcrossCpus(BuildTarget(bytes)),
                   NoneTarget("no page fault", Quantity::kPageFaults),
                   NoneTarget("no word copied", Quantity::kCopiedWords)};
      }
      Add(kHeader, bytes, Work::HEADER, targets);
    }
    for (const uint64_t bytes : {uint64_t{0}, kTickBytes, kKiB, 64 * kKiB, kMiB, 64 * kMiB}) {
      AddIdle(bytes);
    }
  }

  void AddStreams() {
    AddStream(kTickBytes, Work::TICKS, FixedTarget("45 ns", absl::Nanoseconds(45)));
    for (const uint64_t bytes : {64 * kKiB, kMiB}) {
      workloads_.push_back({.id = {kStreamed, kBare, bytes},
                            .measure = Measure::kStream,
                            .cpus = cpus_,
                            .cpu = cpus_.client,
                            .sample = [cpus = cpus_, bytes, time = time_] {
                              return SampleBareStream(
                                  [bytes](int writer, int reader, int count) {
                                    return TimeCrossStream(writer, reader, bytes, count);
                                  },
                                  cpus, static_cast<int>(64 * kMiB / bytes), time);
                            }});
      AddStream(bytes, Work::BLOBS, RateTarget(bytes));
    }
  }

  void AddSlots() {
    AddSlotStream(kBare, TimeBareSlotStream, {});
    AddSlotStream(kShm, TimeSlotStream, {AcrossCpus(FixedTarget("10 ns", absl::Nanoseconds(10)))});
  }

  void AddOnOneCpu() {
    const std::string address = servers_.beside_client("channel").address();
    workloads_.push_back({.id = {"round trip, one CPU", kShm, kTickBytes},
                          .targets = {FixedTarget("12 us", absl::Microseconds(12))},
                          .cpus = {cpus_.client, cpus_.client},
                          .cpu = cpus_.client,
                          .sample = [address, time = time_] {
                            return SampleChannelWork(address, Work::TICK, kTickBytes, {time});
                          }});
  }

  void AddConnect() {
    workloads_.push_back({.id = {"connect and round trip", kShm, 0},
                          .cpus = cpus_,
                          .cpu = cpus_.client,
                          .sample = [address = Address(), time = time_] {
                            return SampleChannelConnect(address, {time, absl::Milliseconds(1)});
                          }});
  }

  std::vector<Workload> Take() { return std::move(workloads_); }

 private:
  void AddSlotStream(const char* transport, decltype(TimeSlotStream)* stream,
                     const std::vector<Target>& targets) {
    constexpr int kSlots = 100'000;  // about a millisecond, long against the start of two threads
    workloads_.push_back(
        {.id = {"stream of bare slots", transport, kSlotStreamWords * sizeof(uint64_t)},
         .measure = Measure::kStream,
         .targets = targets,
         .cpus = cpus_,
         .cpu = cpus_.client,
         .sample = [stream, cpus = cpus_, time = time_] {
           return SampleBareStream(stream, cpus, kSlots, time);
         }});
  }

  std::string Address() const { return servers_.across("channel").address(); }

  void Add(const char* name, uint64_t bytes, Work work, const std::vector<Target>& targets) {
    workloads_.push_back({.id = {name, kShm, bytes},
                          .targets = targets,
                          .cpus = cpus_,
                          .cpu = cpus_.client,
                          .sample = [address = Address(), work, bytes, time = time_] {
                            return SampleChannelWork(address, work, bytes, {time});
                          }});
  }

  void AddIdle(uint64_t bytes) {
    workloads_.push_back({.id = {kIdle, kShm, bytes},
                          .cpus = cpus_,
                          .cpu = cpus_.client,
                          .sample = [address = Address(), bytes, time = time_] {
                            return SampleChannelWork(address, RoundTripOf(bytes), bytes,
                                                     {time, absl::Milliseconds(1)});
                          }});
  }

  void AddBuild(uint64_t bytes) {
    workloads_.push_back({.id = {kBuild, kShm, bytes},
                          .cpus = cpus_,
                          .cpu = cpus_.client,
                          .sample = [address = Address(), bytes, time = time_] {
                            return SampleChannelBuild(address, bytes, {time});
                          }});
  }

  void AddStream(uint64_t bytes, Work work, const Target& target) {
    workloads_.push_back({.id = {kStreamed, kShm, bytes},
                          .measure = Measure::kStream,
                          .targets = {AcrossCpus(target)},
                          .cpus = cpus_,
                          .cpu = cpus_.client,
                          .sample = [address = Address(), work, bytes, time = time_] {
                            return SampleChannelWork(address, work, bytes, {time});
                          }});
  }

  const Servers& servers_;
  const Cpus cpus_;
  const absl::Duration time_;
  std::vector<Workload> workloads_;
};

}  // namespace

std::vector<Workload> ChannelWorkloads(const Servers& servers, const Cpus& cpus,
                                       absl::Duration time) {
  List list(servers, cpus, time);
  list.AddRoundTrips();
  list.AddStreams();
  list.AddSlots();
  list.AddOnOneCpu();
  list.AddConnect();
  return list.Take();
}

}  // namespace shoal
