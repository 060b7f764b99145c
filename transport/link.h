// What the two halves of a channel and each of its messages share.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "shoal/transport/doorbell.h"
#include "shoal/transport/free_list.h"
#include "shoal/transport/loans.h"
#include "shoal/transport/outbox.h"
#include "shoal/transport/parked_flag.h"
#include "shoal/transport/peer.h"
#include "shoal/transport/peer_watch.h"
#include "shoal/transport/receipts.h"
#include "shoal/transport/slabs.h"

namespace shoal {

class IncomingBody;
class OutgoingBody;

// How many descriptors a message may have.
struct FdLimits {
  uint32_t received = 0;  // ChannelOptions::max_fds_per_message here
  uint32_t sent = 0;      // and there
};

// Lives as long as the channel or any message of it, so that a message may outlive its connection:
// the mappings stay, the blocks that it drops and the receipts that it writes go nowhere. Bodies
// that wait to be used again hold it too, until those who take them close the lists.
struct Link {
  // The parts that the handshake brings together. `socket` is the connection's, and `watch` watches
  // it.
  Link(Outbox own, PeerOutbox theirs, Peer peer, UniqueFd socket, const SlabLimits& limits,
       const FdLimits& fd_limits = {}, PeerWatch watch = {},
       uint64_t peers_max_words = ChannelOptions::kMaxMessageWords);
  ~Link();

  // True in a forked child, where nothing here may be used.
  bool forked() const { return own.forked(); }

  // kDataLoss once the peer has sent more descriptors than an honest one has on the way, as it can
  // to a process that does not receive.
  absl::Status CheckNotFlooded() const;

  // Whether the peer has closed the channel, everything delivered to its ring, rather than died or
  // dropped the connection. False until it has hung up.
  bool ClosedByPeer() const;

  // PeerClosed() or PeerGone(), of a peer that has hung up.
  absl::Status PeerLeft() const;

  // Tells the peer on which CPU this thread runs, and returns that plus 1; 0 when it is unknown.
  uint64_t TellCpu();

  // Wakes the peer, and tells it the CPU first: one of a higher priority on this CPU runs at once,
  // and without knowing would spin where this process cannot run. Any thread.
  void Ring();

  Outbox own;
  PeerOutbox theirs;  // its slabs are the reading thread's
  const Peer peer;
  const FdLimits fd_limits;
  const uint64_t peers_max_words;  // in a message, as the peer has announced

  // The one thread that publishes, if it was bound: see Channel::BindToThread(). Written before any
  // other thread has the channel or a message of it.
  std::thread::id publisher;

  // False once the channel is gone. relaxed: it orders nothing.
  std::atomic<bool> open = true;

  // Whether this thread is another one than the one that may publish.
  bool OffThread() const {
    return publisher != std::thread::id() && publisher != std::this_thread::get_id();
  }

  // Whether this thread may claim blocks: nothing but the rule that one thread at a time publishes
  // guards them. Who may not builds on the heap.
  bool MayClaim() const { return !OffThread() && open.load(std::memory_order_relaxed); }

  // True from a ring that the peer needed until its next message: a hint for how long to spin.
  // relaxed.
  std::atomic<bool> rang_peer = false;

  Doorbell doorbell;                // any thread
  ReceiptWriter receipts;           // any thread
  RingOnce parked_peer;             // any thread
  RingOnce starved_peer;            // any thread
  Slabs slabs;                      // the writing thread, under a WritingLock
  Loans loans;                      // the writing thread, under a WritingLock
  std::mutex writing;               // WritingLock's
  FreeList<OutgoingBody> outgoing;  // given by any thread, taken by Sender under a WritingLock
  FreeList<IncomingBody> incoming;  // given by any thread, taken by Receiver
};

// Keeps slabs from being trimmed, which any thread may do that waits, while the writing thread is
// at work with them. There is nothing to trim, and so nothing to lock, before a slab was added.
class WritingLock {
 public:
  explicit WritingLock(Link& link) : link_(link), lock_(link.writing, std::defer_lock) {
    if (link.slabs.grown()) {
      lock_.lock();
    }
  }

  // A block of at least `words` words, all zero; adds a slab for it if it must. Nothing when the
  // limits do not allow that.
  std::optional<HeldBlock> Claim(uint32_t words);

 private:
  Link& link_;
  std::unique_lock<std::mutex> lock_;
};

}  // namespace shoal
