// What a benchmark found out about one kind of work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shoal/bench/histogram.h"

namespace shoal {

enum class Met { kNone, kYes, kNo };

// What a target bounds, of an operation.
enum class Quantity { kTime, kCpu, kSleeps, kPageFaults, kCopiedWords };

// Times are in nanoseconds, and of one operation: a round trip, a call, a message of a stream.
struct Result {
  std::string work = {};       // such as "round trip, read whole"
  std::string transport = {};  // such as "shm", "unix", "tcp"
  uint64_t size = 0;           // bytes of payload that the operation carries one way

  size_t blocks = 0;         // those that the times are from
  size_t moved_blocks = 0;   // those left out, as the floor was another when they ended
  bool floor_moved = false;  // it did in every block, so the times are from such
  size_t samples = 0;        // none where no times were taken

  double p50_ns = 0;
  double p99_ns = 0;
  double p999_ns = 0;
  double max_ns = 0;
  std::vector<Bucket> histogram = {};  // of the samples

  double floor_ns = 0;                         // one cache line there and back; zero on one CPU
  std::optional<double> ratio = std::nullopt;  // the median of the blocks' medians to their floors

  std::string target = {};  // the most that it may take, in words; empty where it has none
  Quantity quantity = Quantity::kTime;            // of the target
  std::optional<double> limit_ns = std::nullopt;  // and in this run, where that is a time
  Met met = Met::kNone;

  // Of an operation, both processes together.
  std::optional<double> allocations = std::nullopt;
  std::optional<double> system_calls = std::nullopt;
  std::optional<double> sleeps = std::nullopt;       // voluntary switches of context
  std::optional<double> parks = std::nullopt;        // sleeps of a channel over shared memory
  std::optional<double> rings = std::nullopt;        // its wake-ups of the peer, a system call each
  std::optional<double> page_faults = std::nullopt;  // that needed no file
  // Of payload, by channels over shared memory, see ChannelStats.
  std::optional<double> copied_words = std::nullopt;
  std::optional<double> cpu_ns = std::nullopt;

  std::optional<double> messages_per_second = std::nullopt;  // of a stream
  std::optional<double> gigabytes_per_second = std::nullopt;
  std::optional<double> memory_bytes = std::nullopt;  // of a connection, both processes together
};

}  // namespace shoal
