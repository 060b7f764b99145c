#include "shoal/bench/usage.h"

#include <linux/perf_event.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "shoal/bench/allocations.h"
#include "shoal/transport/stats.h"

namespace shoal {
namespace {

// What the kernel calls the tracepoint that every system call passes, or nothing.
std::optional<uint64_t> TracepointOfSystemCalls() {
  for (const std::string folder : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
    std::ifstream file(folder + "/events/raw_syscalls/sys_enter/id");
    if (uint64_t id; file >> id) {
      return id;
    }
  }
  return std::nullopt;
}

UniqueFd CountSystemCalls() {
  const std::optional<uint64_t> tracepoint = TracepointOfSystemCalls();
  if (!tracepoint) {
    return UniqueFd();
  }
  perf_event_attr event = {};
  event.type = PERF_TYPE_TRACEPOINT;
  event.size = sizeof(event);
  event.config = *tracepoint;
  return UniqueFd(static_cast<int>(syscall(SYS_perf_event_open, &event, /*pid=*/0, /*cpu=*/-1,
                                           /*group=*/-1, PERF_FLAG_FD_CLOEXEC)));
}

absl::Duration CpuTime(const rusage& used) {
  return absl::DurationFromTimeval(used.ru_utime) + absl::DurationFromTimeval(used.ru_stime);
}

template <typename Combine>
std::optional<uint64_t> Both(std::optional<uint64_t> one, std::optional<uint64_t> other,
                             Combine combine) {
  return one && other ? std::optional<uint64_t>(combine(*one, *other)) : std::nullopt;
}

template <typename Combine>
Usage Combined(const Usage& one, const Usage& other, Combine combine) {
  return {.allocations = Both(one.allocations, other.allocations, combine),
          .system_calls = Both(one.system_calls, other.system_calls, combine),
          .sleeps = combine(one.sleeps, other.sleeps),
          .page_faults = combine(one.page_faults, other.page_faults),
          .cpu = combine(one.cpu, other.cpu),
          .parks = Both(one.parks, other.parks, combine),
          .rings = Both(one.rings, other.rings, combine),
          .copied_words = Both(one.copied_words, other.copied_words, combine)};
}

void AddChannels(Usage& usage) {
  const auto channels = ObserveChannels(getpid());
  if (!channels.ok() || channels->empty()) {
    return;
  }
  uint64_t parks = 0;
  uint64_t rings = 0;
  uint64_t copied_words = 0;
  for (const ObservedChannel& channel : *channels) {
    parks += channel.stats.parks;
    rings += channel.stats.rings;
    copied_words += channel.stats.words_copied_out + channel.stats.words_copied_in;
  }
  usage.parks = parks;
  usage.rings = rings;
  usage.copied_words = copied_words;
}

}  // namespace

Usage operator-(const Usage& after, const Usage& before) {
  return Combined(after, before, [](auto a, auto b) { return a - b; });
}

Usage operator+(const Usage& one, const Usage& other) {
  return Combined(one, other, [](auto a, auto b) { return a + b; });
}

Usage WithoutChannels(Usage usage) {
  usage.parks.reset();
  usage.rings.reset();
  usage.copied_words.reset();
  return usage;
}

UsageMeter::UsageMeter() : system_calls_(CountSystemCalls()) {
  const Usage nothing = ReadCounters();
  reading_ = nothing - nothing;
}

Usage UsageMeter::Read() {
  const Usage begin = ReadCounters();
  Usage usage = begin - reading_;
  AddChannels(usage);
  reading_ = reading_ + (ReadCounters() - begin);
  return usage;
}

Usage UsageMeter::ReadCounters() const {
  Usage usage;
  if (kCountsAllocations) {
    usage.allocations = Allocations();
  }
  uint64_t calls;
  if (system_calls_ && read(system_calls_.get(), &calls, sizeof(calls)) == sizeof(calls)) {
    usage.system_calls = calls;
  }
  rusage used;
  if (getrusage(RUSAGE_THREAD, &used) == 0) {
    usage.sleeps = used.ru_nvcsw;
    usage.page_faults = used.ru_minflt;
    usage.cpu = CpuTime(used);
  }
  return usage;
}

}  // namespace shoal
