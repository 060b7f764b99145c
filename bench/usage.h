// What a thread has used so far: to be read before and after what is measured.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// Of one thread, or of several together. What cannot be counted here has no value.
struct Usage {
  std::optional<uint64_t> allocations = std::nullopt;  // see allocations.h
  std::optional<uint64_t> system_calls = std::nullopt;
  uint64_t sleeps = 0;       // voluntary switches of context
  uint64_t page_faults = 0;  // that needed no file
  absl::Duration cpu = absl::ZeroDuration();

  // What the process's channels over shared memory that are open now have counted, see
  // ChannelStats: their sleeps, their wake-ups of the peer, which are a system call each, and the
  // words of payload that they copied. No value without such a channel.
  std::optional<uint64_t> parks = std::nullopt;
  std::optional<uint64_t> rings = std::nullopt;
  std::optional<uint64_t> copied_words = std::nullopt;

  friend Usage operator-(const Usage& after, const Usage& before);
  friend Usage operator+(const Usage& one, const Usage& other);
};

// The same, but for what channels have counted.
Usage WithoutChannels(Usage usage);

// Counts for the thread that made it, and is read there.
class UsageMeter {
 public:
  // System calls are counted by the kernel's tracepoint for them, at no cost to what is measured.
  // That takes tracefs, mounted, and the right to use it: root's as a rule. Without, they are not
  // counted; sleeps, parks and rings are.
  UsageMeter();

  // What reading itself uses is left out.
  Usage Read();

 private:
  Usage ReadCounters() const;

  UniqueFd system_calls_;  // a perf event, or nothing
  Usage reading_;          // what earlier Read()s have used
};

}  // namespace shoal
