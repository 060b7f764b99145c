#include "shoal/transport/link.h"

#include <algorithm>
#include <utility>

#include "shoal/transport/incoming_body.h"
#include "shoal/transport/outgoing_body.h"

namespace shoal {

Link::Link(Outbox own_outbox, PeerOutbox their_outbox, Peer the_peer, UniqueFd socket,
           const SlabLimits& limits, const FdLimits& the_fd_limits)
    : own(std::move(own_outbox)),
      theirs(std::move(their_outbox)),
      peer(std::move(the_peer)),
      fd_limits(the_fd_limits),
      // A slab comes with one as well.
      doorbell(std::move(socket), std::max<size_t>(fd_limits.received, 1)),
      receipts(own.receipts(), own.shape().receipts),
      parked_peer(&theirs.control().parked.value),
      starved_peer(&theirs.control().starved.value),
      slabs(own.TakeSlab(), limits, doorbell, own.control().written),
      loans(slabs, ReceiptReader(theirs.receipts(), theirs.shape().receipts),
            theirs.shape().receipts) {
  own.control().header.peer_pid = static_cast<uint32_t>(peer.pid);
  own.control().header.peer_uid = peer.uid;
}

Link::~Link() = default;

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
