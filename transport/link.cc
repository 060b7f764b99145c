#include "shoal/transport/link.h"

#include <utility>

#include "shoal/transport/incoming_body.h"
#include "shoal/transport/outgoing_body.h"

namespace shoal {

Link::Link(Outbox own_outbox, PeerOutbox their_outbox, Peer the_peer, UniqueFd socket)
    : own(std::move(own_outbox)),
      theirs(std::move(their_outbox)),
      peer(std::move(the_peer)),
      doorbell(std::move(socket)),
      receipts(own.receipts(), own.shape().receipts),
      parked_peer(&theirs.control().parked.value),
      starved_peer(&theirs.control().starved.value),
      arena(own.slab(), own.shape().slab_bytes / sizeof(capnp::word),
            ReceiptReader(theirs.receipts(), theirs.shape().receipts), theirs.shape().receipts) {}

Link::~Link() = default;

}  // namespace shoal
