#include "shoal/bench/rounds.h"

#include <algorithm>
#include <utility>

#include "shoal/bench/histogram.h"
#include "shoal/bench/median.h"
#include "shoal/bench/percentile.h"

namespace shoal {
namespace {

struct Placed {
  const Block* block;
  const Round* round;
};

std::vector<Placed> BlocksOf(const WorkId& id, const std::vector<Round>& rounds) {
  std::vector<Placed> blocks;
  for (const Round& round : rounds) {
    if (const auto found = round.find(id); found != round.end()) {
      blocks.push_back({&found->second, &round});
    }
  }
  return blocks;
}

double Nanoseconds(absl::Duration duration) { return absl::ToDoubleNanoseconds(duration); }

void AddTimes(const std::vector<Placed>& blocks, Result& result) {
  std::vector<absl::Duration> times;
  std::vector<double> floors;
  std::vector<double> ratios;
  for (const auto& [block, round] : blocks) {
    times.insert(times.end(), block->samples.times.begin(), block->samples.times.end());
    const absl::Duration floor = block->floor.Mean();
    floors.push_back(Nanoseconds(floor));
    if (floor > absl::ZeroDuration() && !block->samples.times.empty()) {
      ratios.push_back(absl::FDivDuration(block->Time(), floor));
    }
  }
  result.samples = times.size();
  result.histogram = HistogramOf(times);
  result.p50_ns = Nanoseconds(Percentile(times, 500));
  result.p99_ns = Nanoseconds(Percentile(times, 990));
  result.p999_ns = Nanoseconds(Percentile(times, 999));
  result.max_ns = Nanoseconds(Percentile(std::move(times), 1000));
  result.floor_ns = Median(std::move(floors));
  if (!ratios.empty()) {
    result.ratio = Median(std::move(ratios));
  }
}

void AddTarget(const Target& target, const std::vector<Placed>& blocks, Result& result) {
  result.target = target.text;
  std::vector<double> limits;
  std::vector<double> ratios;
  for (const auto& [block, round] : blocks) {
    const std::optional<absl::Duration> limit = target.limit(*round, *block);
    if (limit && *limit > absl::ZeroDuration() && !block->samples.times.empty()) {
      limits.push_back(Nanoseconds(*limit));
      ratios.push_back(absl::FDivDuration(block->Time(), *limit));
    }
  }
  if (!limits.empty()) {
    result.limit_ns = Median(std::move(limits));
    result.met = Median(std::move(ratios)) <= 1 ? Met::kYes : Met::kNo;
  }
}

void AddUsage(const std::vector<Placed>& blocks, Result& result) {
  std::optional<Usage> used;
  double operations = 0;
  for (const auto& [block, round] : blocks) {
    if (block->samples.used && block->samples.operations > 0) {
      used = used ? *used + *block->samples.used : *block->samples.used;
      operations += static_cast<double>(block->samples.operations);
    }
  }
  if (!used) {
    return;
  }
  const auto each = [&](std::optional<uint64_t> count) {
    return count ? std::optional<double>(static_cast<double>(*count) / operations) : std::nullopt;
  };
  result.allocations = each(used->allocations);
  result.system_calls = each(used->system_calls);
  result.sleeps = each(used->sleeps);
  result.parks = each(used->parks);
  result.rings = each(used->rings);
  result.cpu_ns = Nanoseconds(used->cpu) / operations;
}

void AddRates(Result& result) {
  if (result.p50_ns > 0) {
    result.messages_per_second = 1e9 / result.p50_ns;
    result.gigabytes_per_second = static_cast<double>(result.size) / result.p50_ns;
  }
}

void AddMemory(const std::vector<Placed>& blocks, Result& result) {
  std::vector<double> bytes;
  for (const auto& [block, round] : blocks) {
    if (block->samples.memory_bytes) {
      bytes.push_back(*block->samples.memory_bytes);
    }
  }
  result.memory_bytes = Median(std::move(bytes));
}

}  // namespace

absl::Duration Block::Time() const { return Median(samples.times); }

Result Summarize(const WorkId& id, Measure measure, const std::optional<Target>& target,
                 const std::vector<Round>& rounds) {
  std::vector<Placed> blocks = BlocksOf(id, rounds);
  const auto moved = std::stable_partition(blocks.begin(), blocks.end(), [](const Placed& placed) {
    return placed.block->floor.Steady();
  });
  Result result = {.work = id.work, .transport = id.transport, .size = id.size};
  result.moved_blocks = blocks.end() - moved;
  result.floor_moved = moved == blocks.begin() && moved != blocks.end();
  if (!result.floor_moved) {
    blocks.erase(moved, blocks.end());
  }
  result.blocks = blocks.size();
  AddTimes(blocks, result);
  AddUsage(blocks, result);
  if (target) {
    AddTarget(*target, blocks, result);
  }
  if (measure == Measure::kStream) {
    AddRates(result);
  }
  if (measure == Measure::kMemory) {
    AddMemory(blocks, result);
  }
  return result;
}

}  // namespace shoal
