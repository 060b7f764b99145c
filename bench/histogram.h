// How measured times are spread, over ranges that grow with the times.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/time/time.h"

namespace shoal {

// The times from `lower_ns` up to the next possible bucket's, which is 2^(1/8) times as much: nine
// per cent, finer than what differs between runs.
struct Bucket {
  double lower_ns;
  uint64_t count;

  bool operator==(const Bucket&) const = default;
};

// Those that are not empty, ascending. Times below a nanosecond count as one.
inline std::vector<Bucket> HistogramOf(const std::vector<absl::Duration>& times) {
  constexpr double kBucketsToTwice = 8;
  std::map<int, uint64_t> counts;
  for (const absl::Duration time : times) {
    const double ns = std::fmax(absl::ToDoubleNanoseconds(time), 1);
    ++counts[static_cast<int>(std::floor(std::log2(ns) * kBucketsToTwice))];
  }
  std::vector<Bucket> buckets;
  for (const auto& [bucket, count] : counts) {
    buckets.push_back({std::exp2(bucket / kBucketsToTwice), count});
  }
  return buckets;
}

}  // namespace shoal
