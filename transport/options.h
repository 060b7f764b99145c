// What a user may choose for a channel.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "capnp/message.h"

namespace shoal {

// What `Publish` does when the ring has no room.
enum class WhenFull {
  kBlock,  // waits until the peer has read, or the deadline passes
  kFail,   // returns kResourceExhausted at once; the message stays with the caller
  kSpill,  // keeps the message in this process; later calls of Publish() and Flush() deliver it, in
           // order, as room comes
};

// How messages of the peer are read.
enum class Trust {
  kPeer,  // where the peer built them. A peer that changes a message while it is being read can
          // make Cap'n Proto's reader look at other memory of this process: for peers trusted with
          // it
  kNone,  // from a private copy, made before anything of it is looked at, as if it came over a
          // socket. The peer has its block back at once
};

// Each side chooses for the outbox that it writes; the two sides need not agree. A value outside
// its range is refused with kInvalidArgument when the channel is made, never adjusted in silence.
struct ChannelOptions {
  static constexpr uint32_t kMinSlots = 16;
  static constexpr uint32_t kMaxSlots = 1u << 16;
  static constexpr uint32_t kMinLoans = 16;
  static constexpr uint32_t kMaxLoans = 1u << 16;
  static constexpr uint32_t kDefaultLoans = 1024;
  static constexpr size_t kMinSlabBytes = size_t{64} << 10;
  static constexpr size_t kMaxSlabBytes = size_t{16} << 30;
  static constexpr uint64_t kMaxSlabsBytes = uint64_t{1} << 40;
  static constexpr uint64_t kMaxMessageWords = uint64_t{1} << 29;
  static constexpr uint64_t kUntrustedMessageWords = uint64_t{8} << 20;  // 64 MiB, as Cap'n Proto's
  static constexpr size_t kMaxProtocolBytes = 255;
  static constexpr uint32_t kMaxFdsPerMessage = 253;  // as many as the kernel takes at a time

  // Slots of 256 bytes in the ring: how many small messages may wait to be read. A power of two.
  // A message of up to 31 words takes one. A larger one lies in blocks, and takes one slot if it
  // was claimed with a hint of its size, or two if it was built in small pieces.
  uint32_t slots = 256;

  // Blocks of the peer's that this side may hold unreleased at a time; a message that is not
  // received yet holds its own too. A power of two. A peer that has lent so many sends what comes
  // next in fragments, which are copied and take a slot for each 248 bytes, so its ring is full
  // much sooner. So there should be as many as all messages have that wait in the peer's ring or
  // are held here: one block for a message that was claimed with a hint of its size, up to 8 for
  // one of 64 KiB that was not, and one for each piece above 32 KiB. Empty: four times `slots`, at
  // least kDefaultLoans, which is enough for a full ring where the peer has as many slots.
  std::optional<uint32_t> loans = std::nullopt;

  // Bytes of shared memory for messages above 31 words, allocated when the channel is made, so that
  // each side of an idle connection costs this and some 80 KiB. More slabs, of this size or of what
  // a message needs, are added when they are wanted. A multiple of the page size.
  size_t slab_bytes = size_t{1} << 20;

  // Bytes of all slabs of this side together, at least slab_bytes. What finds no room in them is
  // built on the heap, and sent in fragments if there is still none when its turn comes.
  uint64_t max_slabs_bytes = uint64_t{1} << 30;

  // Bytes of all slabs of the peer's together that this side maps. The peer is told, and keeps to
  // it.
  uint64_t max_peer_slabs_bytes = uint64_t{1} << 30;

  // A slab beyond the first in which no message has been for so long is given back to the system.
  absl::Duration slab_idle_time = absl::Seconds(1);

  // Bytes of such slabs that are kept for that time; what is more is given back at once.
  uint64_t max_idle_slabs_bytes = uint64_t{256} << 20;

  // Takes slabs from the system's huge pages (vm.nr_hugepages), and accepts the peer's that are in
  // some: set it on both sides. Where the system has none free, or slab_bytes is no multiple of
  // their size, normal pages serve, and ChannelStats::huge_page_bytes says so.
  bool huge_pages = false;

  // Touches every page of the control region and the first slab, on both sides, when the channel is
  // made, which the first messages would pay for otherwise: up to 3 us for 4 KiB.
  bool prefault = false;

  // Empty: kPeer for a process of this one's user that is in no container of its own (see
  // Peer::same_user), kNone for any other.
  std::optional<Trust> trust = std::nullopt;

  // User ids that the peer may have besides this process's own. A server with some lets all users
  // connect to the file of `shm:/path`, and looks at their user ids before anything else. What
  // counts is the effective user id, when a process connects or listens and when it greets; both
  // must be allowed. So a client of a server that listens as root and then becomes another user
  // needs both ids, of which the address may say one: see docs/security.md.
  std::vector<uid_t> allowed_uids = {};

  // What the messages mean, by a name that both programs know, such as "ticks/2": two ends connect
  // only if theirs is the same. RPC and byte streams have names of their own, so a program that has
  // the wrong address learns of it at once. At most kMaxProtocolBytes; not used over sockets.
  std::string protocol = "";

  // The largest message that is sent or accepted, in words of 8 bytes. A peer at shm: is told what
  // is accepted, and refuses to publish more. Empty: the lower of `reader`'s traversal limit, if
  // that is set, and kMaxMessageWords for a peer that is read in place; kUntrustedMessageWords for
  // one under Trust::kNone or over a socket, unless `reader` says otherwise.
  std::optional<uint64_t> max_message_words = std::nullopt;

  // How many descriptors this side takes with a message. The peer is told, and can send no more. A
  // low number keeps a peer from filling this process's table of descriptors. A message waits until
  // there is room for all of its own: see Channel::short_of_descriptors().
  uint32_t max_fds_per_message = 0;

  // What Cap'n Proto's readers of received messages allow. The traversal limit counts all that is
  // read of one message, again and again, and bounds its size too, as in Cap'n Proto's own streams.
  // Empty: a message of a peer that is read in place can be read without end, for its size is known
  // and it is trusted anyway; of any other, kUntrustedMessageWords or max_message_words, whichever
  // is more, and IncomingMessage::Reopen() begins anew.
  std::optional<capnp::ReaderOptions> reader = std::nullopt;

  // How long a wait looks at the ring before it sleeps. From zero (always sleep at once) to
  // infinite (never sleep). It adapts: less where looking was in vain, up to twice this where waits
  // last about as long, and several times this for a peer that is being woken. Waking a sleeping
  // peer costs 25 us to 50 us across CPUs, so a budget below that makes both sides sleep at every
  // message. In a KJ event loop
  // that never sleeps there is always something to do, so WaitScope::poll() does not return.
  absl::Duration spin = absl::Microseconds(50);

  WhenFull when_full = WhenFull::kBlock;

  // Bytes that may wait in this process under WhenFull::kSpill.
  uint64_t max_pending_bytes = uint64_t{1} << 30;

  // How long destroying a channel may wait for the peer to take what is pending. Zero for a thread
  // that must not wait, as an event loop's; what was not taken by then is lost.
  absl::Duration linger = absl::Seconds(1);

  // How many clients may have connected to a listener at `shm:` and not greeted yet, at a time:
  // each takes a descriptor. For one more, the one that has been silent for longest is dropped. 0:
  // a quarter of RLIMIT_NOFILE. Other users than those let in do not count; they are refused at
  // once.
  uint32_t max_greetings = 0;

  // How long `Connect` waits for a server that is not there yet, and either side for the other's
  // half of the handshake.
  absl::Duration connect_timeout = absl::Seconds(5);
};

// kInvalidArgument names the first option that is out of range, its value and its range.
absl::Status Validate(const ChannelOptions& options);

// ChannelOptions::loans, or what stands for it.
uint32_t LoansOf(const ChannelOptions& options);

}  // namespace shoal
