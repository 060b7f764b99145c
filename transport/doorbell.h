// The connection's socket once the channel runs: wake-ups, news and the peer's death.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/packet.h"
#include "shoal/transport/peer_watch.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// How many of a peer's descriptors a doorbell brings into this process.
struct IncomingFdLimits {
  size_t packet = 1;      // with one packet, 1 to kMaxPacketFds
  size_t waiting = 1024;  // with all news that is not taken yet

  // How many news of these bytes can have, of at most `packet`. What comes with a packet beyond
  // that, or with a ring, never becomes a descriptor of this process, which would have to close it:
  // closing a file on the peer's own FUSE mount waits for the peer.
  size_t (*of_news)(std::span<const std::byte> news,
                    size_t packet) = [](std::span<const std::byte>, size_t fds) { return fds; };
};

// A ring is one packet of one byte; a longer packet, which may have descriptors, is news. The
// socket's hang-up is the peer's death, reported by the kernel at once, so there are no heartbeats;
// a PeerWatch hears of it where a child of the peer keeps the socket open. Nobody else holds an
// end, so nobody else can drain or block it. Any thread may call any member.
class Doorbell {
 public:
  static constexpr size_t kMaxNewsBytes = 128;
  static constexpr size_t kMaxNewsWaiting = 1024;  // what the peer sends beyond is thrown away

  // News as it came.
  struct Packet {
    std::vector<std::byte> bytes;
    absl::InlinedVector<UniqueFd, 1> fds;
    bool too_many_fds = false;  // more than IncomingFdLimits allows: the others are lost
    bool fd_refused = false;    // by the system, which has room: see FdRefused()
  };

  // What a drain has found.
  enum class Drained {
    kNothing,
    kSome,
    kShortOfFds,  // nothing but news that waits for descriptors: see short_of_fds()
  };

  // `socket` is a connected, non-blocking SOCK_SEQPACKET Unix socket, whose peer `watch` watches.
  explicit Doorbell(UniqueFd socket, const IncomingFdLimits& limits = {}, PeerWatch watch = {})
      : socket_(std::move(socket)), watch_(std::move(watch)), limits_(limits) {}

  // Wakes the peer. Never blocks and never fails: when the socket is full of rings that the peer
  // has not read, it is going to wake anyway; and one that is gone shows in hung_up().
  void Ring();

  // Sends news of 2 to kMaxNewsBytes bytes, and copies of up to kMaxPacketFds descriptors. Never
  // blocks. Errors as those of SendPacket().
  absl::Status SendNews(std::span<const std::byte> bytes, std::span<const int> fds);

  // Reads what has come, without waiting. It reads a bounded number of packets, so that a peer that
  // rings without end cannot hold the caller; what is left keeps the socket readable. While another
  // thread sleeps, it leaves the packets to that one, whose wake-up they are.
  void Drain();

  // The same for a caller that must have the news which the peer has sent by now: while another
  // thread sleeps, waits until that one, which the news wakes, has drained.
  Drained DrainNow();

  // Whether, at the last drain, the socket's next packet was news with more descriptors than this
  // process can have now (RLIMIT_NOFILE). It stays there, and so does all behind it, the socket
  // stays readable, and each drain tries again. Meanwhile sleeps are naps, since no ring can end
  // them; the peer's death is noticed all the same. relaxed: who sees it late looks again.
  bool short_of_fds() const { return short_of_fds_.load(std::memory_order_relaxed); }

  // How long one who is short of descriptors naps before the next try.
  static constexpr std::chrono::milliseconds kNap{10};

  // Finds out whether the peer is gone, and reads nothing: for a caller that never sleeps and must
  // not take another one's wake-up. A system call.
  void Look();

  // The same if nobody has looked so for kLookInterval. Costs a look at a coarse clock otherwise.
  void LookNowAndThen();
  static constexpr std::chrono::milliseconds kLookInterval{25};

  // The news drained since the last call, in the order of sending.
  std::vector<Packet> TakeNews();

  // Whether the peer has sent more descriptors than may wait. All its news was thrown away then,
  // and is since, so the connection is of no more use. relaxed: who sees it late looks again.
  bool flooded() const { return flooded_.load(std::memory_order_relaxed); }

  // Whether there is some, or none will be kept any more. A hint: relaxed.
  bool has_news() const { return has_news_.load(std::memory_order_relaxed); }

  // Sleeps until a ring has come since `rings()` returned `seen`, the peer hung up, or `deadline`.
  // May return early; the caller looks at what it waits for and sleeps again. When two threads
  // sleep, one polls the socket and passes on what it drains, so neither takes the other's ring.
  void Sleep(uint64_t seen, const Deadline& deadline);

  // Counts all packets that were drained. Taken before the last look at the ring, it makes Sleep()
  // return when the wake-up came in between. acquire: its partner is the release in DrainSocket().
  uint64_t rings() const { return rings_.load(std::memory_order_acquire); }

  // True once the peer's end is closed, which is how its death looks, or its process is known to
  // have ended, or once HangUp() was called. What the peer published before is still in the rings.
  // acquire: its partner is the release in PeerLeft(), so the rings read after this load hold all
  // that the peer ever published.
  bool hung_up() const { return hung_up_.load(std::memory_order_acquire); }

  // Ends the connection; the peer sees it at once. The descriptor stays open until destruction,
  // because messages that outlive the channel may still name it.
  void HangUp();

  // Readable when a ring or the peer's death waits to be drained. The first call makes it of the
  // two of fds(), for good; it is the socket alone where no process is watched, or no descriptor
  // was left for it.
  int fd();

  // The socket, and PeerWatch::fd().
  std::pair<int, int> fds() const { return {socket_.get(), watch_.fd()}; }

  int socket() const { return socket_.get(); }

 private:
  struct IncomingPacket;
  enum class Next { kTaken, kNone, kShortOfFds, kRefused, kEnd };
  enum class Polling {
    kNobody,
    kSleeper,
    kNapper,  // short of descriptors: others may drain, for it looks again soon in any case
  };

  void DrainAll();
  Drained DrainSocket();
  Next TakePacket();
  Next TryTakePacket(bool refused);
  Next TakeNewsPacket(IncomingPacket& packet, bool refused);
  bool ThrowsAway(size_t bytes) const;
  void KeepNews(IncomingPacket& packet, PacketControl control);
  void PeerLeft();
  void Poll(const Deadline& deadline);

  const UniqueFd socket_;
  const PeerWatch watch_;
  const IncomingFdLimits limits_;
  std::atomic<uint64_t> rings_ = 0;
  std::atomic<bool> hung_up_ = false;
  std::atomic<int64_t> looked_ms_ = 0;  // LookNowAndThen()'s

  // Who polls, and so drains, and how other sleepers hear of it.
  std::mutex mutex_;
  std::condition_variable drained_;
  Polling polling_ = Polling::kNobody;
  std::optional<UniqueFd> events_;  // what fd() has made, if it could
  std::vector<Packet> news_;
  size_t fds_waiting_ = 0;  // those of news_
  std::atomic<bool> flooded_ = false;
  std::atomic<bool> short_of_fds_ = false;
  std::atomic<bool> has_news_ = false;
};

}  // namespace shoal
