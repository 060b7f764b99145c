#include "shoal/bench/rounds.h"

#include <algorithm>
#include <limits>
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

std::optional<double> UsedOf(Quantity quantity, const Usage& used) {
  switch (quantity) {
    case Quantity::kCpu:
      return Nanoseconds(used.cpu);
    case Quantity::kSleeps:
      return used.sleeps;
    case Quantity::kPageFaults:
      return used.page_faults;
    case Quantity::kCopiedWords:
      return used.copied_words;
    case Quantity::kTime:
      break;
  }
  return std::nullopt;
}

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

// At most 1 where `value` keeps to `limit`, which may be zero.
double RatioTo(double limit, double value) {
  if (limit > 0) {
    return value / limit;
  }
  return value > limit ? std::numeric_limits<double>::infinity() : 0;
}

bool IsTime(Quantity quantity) { return quantity == Quantity::kTime || quantity == Quantity::kCpu; }

void AddTarget(const Target& target, const std::vector<Placed>& blocks, Result& result) {
  result.target = target.text;
  result.quantity = target.quantity;
  std::vector<double> limits;
  std::vector<double> ratios;
  for (const auto& [block, round] : blocks) {
    const std::optional<double> limit = target.limit(*round, *block);
    const std::optional<double> value = block->Of(target.quantity);
    if (limit && value) {
      limits.push_back(*limit);
      ratios.push_back(RatioTo(*limit, *value));
    }
  }
  if (limits.empty()) {
    return;
  }
  if (IsTime(target.quantity)) {
    result.limit_ns = Median(std::move(limits));
  }
  result.met = Median(std::move(ratios)) <= 1 ? Met::kYes : Met::kNo;
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
  result.page_faults = each(used->page_faults);
  result.copied_words = each(used->copied_words);
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

std::optional<double> Block::Of(Quantity quantity) const {
  if (quantity == Quantity::kTime) {
    return samples.times.empty() ? std::nullopt : std::optional(Nanoseconds(Time()));
  }
  if (!samples.used || samples.operations == 0) {
    return std::nullopt;
  }
  const std::optional<double> all = UsedOf(quantity, *samples.used);
  return all ? std::optional(*all / static_cast<double>(samples.operations)) : std::nullopt;
}

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
