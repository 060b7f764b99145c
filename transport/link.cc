#include "shoal/transport/link.h"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/transport/incoming_body.h"
#include "shoal/transport/news.h"
#include "shoal/transport/outgoing_body.h"
#include "shoal/transport/peer_slabs.h"

namespace shoal {
namespace {

// What an honest peer has on the way at most: one for each of its slabs, and those of the messages
// that are not received yet.
size_t MostFdsOnTheWay(const FdLimits& limits) {
  return kMaxSlabs + kMaxFdPacketsOnTheWay * limits.received;
}

}  // namespace

Link::Link(Outbox own_outbox, PeerOutbox their_outbox, Peer the_peer, UniqueFd socket,
           const SlabLimits& limits, const FdLimits& the_fd_limits, PeerWatch watch,
           uint64_t the_peers_max_words)
    : own(std::move(own_outbox)),
      theirs(std::move(their_outbox)),
      peer(std::move(the_peer)),
      fd_limits(the_fd_limits),
      peers_max_words(the_peers_max_words),
      doorbell(std::move(socket),
               {.packet = std::max<size_t>(fd_limits.received, 1),  // a slab's
                .waiting = MostFdsOnTheWay(fd_limits),
                .of_news = MostFdsOfNews},
               std::move(watch)),
      receipts(own.receipts(), own.shape().receipts),
      parked_peer(&theirs.control().parked.value),
      starved_peer(&theirs.control().starved.value),
      slabs(own.TakeSlab(), limits, doorbell, own.counters().written),
      loans(slabs, ReceiptReader(theirs.receipts(), theirs.shape().receipts),
            theirs.shape().receipts) {
  own.counters().header.peer_pid = static_cast<uint32_t>(peer.pid);
  own.counters().header.peer_uid = peer.uid;
}

bool Link::ClosedByPeer() const {
  // acquire: its partner is the release in ~ShmChannel(). Any value that the peer may have stored
  // will do.
  return doorbell.hung_up() && theirs.control().closed.value.load(std::memory_order_acquire) != 0;
}

absl::Status Link::PeerLeft() const { return ClosedByPeer() ? PeerClosed(peer) : PeerGone(peer); }

uint64_t Link::TellCpu() {
  const int now = sched_getcpu();
  const uint64_t cpu = now < 0 ? 0 : static_cast<uint64_t>(now) + 1;
  std::atomic<uint64_t>& told = own.control().cpu.value;
  // relaxed: a hint. A stale one costs one spin too many or too few.
  if (told.load(std::memory_order_relaxed) != cpu) {
    told.store(cpu, std::memory_order_relaxed);
  }
  return cpu;
}

void Link::Ring() {
  TellCpu();
  doorbell.Ring();
}

Link::~Link() = default;

absl::Status Link::CheckNotFlooded() const {
  if (!doorbell.flooded()) {
    return absl::OkStatus();
  }
  const size_t most = MostFdsOnTheWay(fd_limits);
  return CorruptPeer(peer, "descriptors ahead of what they are for", most + 1,
                     absl::StrCat("at most ", most));
}

std::optional<HeldBlock> WritingLock::Claim(uint32_t words) {
  if (std::optional<HeldBlock> block = link_.slabs.Claim(words)) {
    return block;
  }
  // Sender::Offer reports what is wrong with a receipt.
  link_.loans.Collect(link_.peer).IgnoreError();
  if (std::optional<HeldBlock> block = link_.slabs.Claim(words)) {
    return block;
  }
  if (!lock_.owns_lock()) {
    lock_.lock();
  }
  return link_.slabs.Grow(words) ? link_.slabs.Claim(words) : std::nullopt;
}

}  // namespace shoal
