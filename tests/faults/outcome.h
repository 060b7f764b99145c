// What came of one kill.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace shoal::faults {

enum class Layer { kChannel, kRpc };
enum class Role { kServer, kClient };  // of the survivor

struct Outcome {
  // From the kill until the survivor was told, all that was published before it delivered. Nothing
  // where there was no connection, or it had ended.
  std::optional<absl::Duration> seen;
  uint64_t delivered = 0;             // messages of the victim
  uint64_t delivered_late = 0;        // those of them that came when the victim had been killed
  uint64_t delivered_bytes = 0;       // of payload in them
  uint64_t delivered_back = 0;        // messages of the survivor, counted by the victim
  uint64_t delivered_back_bytes = 0;  // of payload in those
  uint64_t stops = 0;                 // SIGSTOP and SIGCONT
  absl::Duration dying;               // from the kill until the system had ended the victim
  absl::Duration longest_wait;        // of the survivor, for a message or for a call's return
  std::vector<std::string> failures;  // what should not be

  void Expect(bool condition, std::string_view otherwise) {
    if (!condition) {
      failures.emplace_back(otherwise);
    }
  }
};

// Expects that `status` says that the process `victim` is gone, and names it.
void ExpectGone(Outcome& outcome, const absl::Status& status, pid_t victim, std::string_view who);

// Expects that all that were `published` have been delivered, and no more than were `begun`.
void ExpectAllDelivered(Outcome& outcome, uint64_t published, uint64_t begun);

}  // namespace shoal::faults
