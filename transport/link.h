// What the two halves of a channel and each of its messages share.
#pragma once

#include <atomic>
#include <memory>

#include "shoal/transport/block_arena.h"
#include "shoal/transport/doorbell.h"
#include "shoal/transport/free_list.h"
#include "shoal/transport/options.h"
#include "shoal/transport/outbox.h"
#include "shoal/transport/parked_flag.h"
#include "shoal/transport/peer.h"
#include "shoal/transport/receipts.h"

namespace shoal {

class IncomingBody;
class OutgoingBody;

// Lives as long as the channel or any message of it, so that a message may outlive its connection:
// the mappings stay, the blocks that it drops and the receipts that it writes go nowhere.
struct Link {
  // The parts that the handshake brings together. `socket` is the connection's.
  Link(Outbox own, PeerOutbox theirs, Peer peer, UniqueFd socket);
  ~Link();

  Outbox own;
  const PeerOutbox theirs;
  const Peer peer;

  // True from a ring that the peer needed until its next message: a hint for how long to spin.
  // relaxed.
  std::atomic<bool> rang_peer = false;

  Doorbell doorbell;                // any thread
  ReceiptWriter receipts;           // any thread
  RingOnce parked_peer;             // any thread
  RingOnce starved_peer;            // any thread
  BlockArena arena;                 // the writing thread
  FreeList<OutgoingBody> outgoing;  // given by any thread, taken by the writing thread
  FreeList<IncomingBody> incoming;  // given by any thread, taken by the reading thread
};

}  // namespace shoal
