#include "shoal/bench/used.h"

#include <cstdint>
#include <optional>

namespace shoal {
namespace {

std::optional<uint64_t> Counted(int64_t count) {
  return count < 0 ? std::nullopt : std::optional<uint64_t>(count);
}

}  // namespace

void WriteUsage(const Usage& usage, schema::Used::Builder used) {
  if (usage.allocations) {
    used.setAllocations(static_cast<int64_t>(*usage.allocations));
  }
  if (usage.system_calls) {
    used.setSystemCalls(static_cast<int64_t>(*usage.system_calls));
  }
  if (usage.parks) {
    used.setParks(static_cast<int64_t>(*usage.parks));
  }
  if (usage.rings) {
    used.setRings(static_cast<int64_t>(*usage.rings));
  }
  if (usage.copied_words) {
    used.setCopiedWords(static_cast<int64_t>(*usage.copied_words));
  }
  used.setPageFaults(usage.page_faults);
  used.setSleeps(usage.sleeps);
  used.setCpuNanoseconds(absl::ToInt64Nanoseconds(usage.cpu));
}

Usage ReadUsage(schema::Used::Reader used) {
  return {.allocations = Counted(used.getAllocations()),
          .system_calls = Counted(used.getSystemCalls()),
          .sleeps = used.getSleeps(),
          .page_faults = used.getPageFaults(),
          .cpu = absl::Nanoseconds(used.getCpuNanoseconds()),
          .parks = Counted(used.getParks()),
          .rings = Counted(used.getRings()),
          .copied_words = Counted(used.getCopiedWords())};
}

Usage UsageOfServer(schema::Ping::Client& ping, kj::WaitScope& wait_scope) {
  return ReadUsage(ping.usageRequest().send().wait(wait_scope).getUsed());
}

}  // namespace shoal
