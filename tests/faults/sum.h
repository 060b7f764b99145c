// What came of a number of kills, all together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "shoal/tests/faults/outcome.h"

namespace shoal::faults {

// A death should be seen within this time.
inline constexpr absl::Duration kSeenSoon = absl::Milliseconds(100);

// What a survivor has from malloc may grow by so much, over any number of kills: the first ones of
// each kind leave buffers behind that the next ones use again.
inline constexpr int64_t kHeapMayGrow = 1 << 20;

struct Sum {
  uint64_t kills_of_clients = 0;
  uint64_t kills_of_servers = 0;
  uint64_t stops = 0;             // SIGSTOP and SIGCONT
  uint64_t messages = 0;          // of the victims, that the survivor verified
  uint64_t messages_late = 0;     // those of them that came when the victim had been killed
  uint64_t bytes = 0;             // of payload in them
  uint64_t messages_back = 0;     // of the survivor, that the victims verified
  uint64_t bytes_back = 0;        // of payload in those
  uint64_t deaths_seen = 0;       // where there was a connection to see it by
  uint64_t deaths_seen_late = 0;  // after more than kSeenSoon
  std::optional<absl::Duration> longest_seen;
  absl::Duration longest_dying;  // from a kill until the system had ended the process
  absl::Duration longest_wait;   // of the survivor, for a message or for a call's return
  uint64_t leaks = 0;
  uint64_t failures = 0;
  int64_t heap_growth = 0;  // bytes that the survivor has from malloc, since the beginning

  uint64_t kills() const { return kills_of_clients + kills_of_servers; }
  bool all_well() const { return failures == 0 && leaks == 0 && heap_growth <= kHeapMayGrow; }

  void Add(Role survivor, const Outcome& outcome, bool leaks);
  // Of another survivor: the larger growth counts.
  void Add(const Sum& other);
};

// One line without its end, for another process to read.
std::string ToLine(const Sum& sum);

// Nothing if `line` is none of those.
std::optional<Sum> FromLine(std::string_view line);

}  // namespace shoal::faults
