// What was measured, block by block, and what it comes to.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "shoal/bench/floor.h"
#include "shoal/bench/result.h"
#include "shoal/bench/usage.h"

namespace shoal {

// Of what the samples are.
struct WorkId {
  std::string work;
  std::string transport;
  uint64_t size;  // bytes of payload that an operation carries one way

  auto operator<=>(const WorkId&) const = default;
};

// Operations that were measured in a row.
struct Samples {
  std::vector<absl::Duration> times = {};  // each of one operation, or the mean of several
  uint64_t operations = 0;                 // to which `used` belongs
  std::optional<Usage> used = std::nullopt;
  std::optional<double> memory_bytes = std::nullopt;  // instead of times
};

// Samples, and the floor around them.
struct Block {
  Floor floor;
  Samples samples;

  absl::Duration Time() const;  // the median

  // What an operation took: of the time the median, of all else the mean, times in nanoseconds.
  // Nothing where it was not measured.
  std::optional<double> Of(Quantity quantity) const;
};

// A block of each work, one after the other, so that all see the machine in the same states. What
// was not reached before the time was up is missing.
using Round = std::map<WorkId, Block>;

// The most that an operation of a block may take, by what was measured in the same round; nothing
// where that is missing. Times are in nanoseconds.
using Limit = std::function<std::optional<double>(const Round& round, const Block& block)>;

struct Target {
  std::string text;
  Limit limit;
  Quantity quantity = Quantity::kTime;
};

enum class Measure { kTime, kStream, kMemory };

// Takes the blocks with a steady floor of all rounds together; where there are none, those whose
// floor moved. Ratios, and whether the target is met, are medians over what they are within each
// block, so that blocks in which the machine was slow count like any other.
Result Summarize(const WorkId& id, Measure measure, const std::optional<Target>& target,
                 const std::vector<Round>& rounds);

}  // namespace shoal
