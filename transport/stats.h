// What a channel has done: seen by its owner, and by any process that may look.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "shoal/transport/counters.h"

namespace shoal {

// Figures of one end, over the life of the channel.
struct ChannelStats {
  uint64_t messages_sent = 0;
  uint64_t messages_received = 0;
  uint64_t bytes_sent = 0;  // of payload: all segments
  uint64_t bytes_received = 0;
  uint64_t segments_sent = 0;
  uint64_t segments_received = 0;
  // Words of payload that were copied instead of being read where they were built. What travels in
  // a slot, at most 31 words, is not counted.
  uint64_t words_copied_out = 0;
  uint64_t words_copied_in = 0;
  uint64_t claims = 0;           // messages begun that are not let go yet, as of the last Claim()
  uint64_t most_claims = 0;      // the most there have been at a time
  uint64_t spills = 0;           // messages that had to wait in this process
  uint64_t spin_hits = 0;        // waits that ended while spinning
  uint64_t parks = 0;            // sleeps
  uint64_t spurious_wakes = 0;   // sleeps that ended without what was waited for
  uint64_t rings = 0;            // wake-ups of the peer, each a system call
  uint64_t blocks_claimed = 0;   // of this side's outbox, whoever has them now
  uint64_t blocks_lent = 0;      // those that the peer has not given back
  uint64_t slabs = 0;            // of this side's outbox
  uint64_t slabs_bytes = 0;      // all of them together
  uint64_t huge_page_bytes = 0;  // those of them that are in huge pages
};

// What a listener at `shm:` has done with those who are not its clients, over its life. Zero over
// sockets, which let everybody in.
struct ListenerStats {
  uint64_t refused = 0;      // another user's, or greeted wrongly
  uint64_t silent = 0;       // dropped before they had greeted: see ChannelOptions::max_greetings
  std::string last_refusal;  // the last one's reason, as it heard it
};

ChannelStats StatsOf(const WriterCounters& written, const ReaderCounters& read);

// One end of a channel over shared memory, seen from outside.
struct ObservedChannel {
  uint64_t epoch;  // random, of this end alone
  pid_t peer_pid;  // 0 if the owner cannot see it
  uid_t peer_uid;
  uint32_t slots;
  uint32_t loans;
  ChannelStats stats;
};

// The ends that process `pid` has open, as they are now. Looks into /proc, which takes the right to
// trace that process (the same user id, or CAP_SYS_PTRACE), and only reads figures: it sees no
// message, and nothing that it does can disturb the channel. kPermissionDenied, or kUnavailable
// when there is no such process.
absl::StatusOr<std::vector<ObservedChannel>> ObserveChannels(pid_t pid);

}  // namespace shoal
