// A message that was received: its Cap'n Proto reader and the memory under it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "capnp/message.h"
#include "shoal/transport/link.h"
#include "shoal/transport/peer_slabs.h"
#include "shoal/transport/slot_ring.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// A block of the peer's that a message lies in.
struct BorrowedBlock {
  uint32_t loan;  // what the receipt says
  PeerBlock block;
};

// What came in slots has been copied here, at most 248 bytes; what lies in the peer's blocks is
// read where it is, until Release() sends the receipts. Bodies are recycled.
//
// Filled on the reading thread; read and released on any one thread.
class IncomingBody {
 public:
  // Without a link all of it lies in `joined`, and it deletes itself when it is released.
  explicit IncomingBody(std::shared_ptr<Link> its_link) : link(std::move(its_link)) {}
  IncomingBody(const IncomingBody&) = delete;
  IncomingBody& operator=(const IncomingBody&) = delete;

  // Begins a message, to be filled.
  void Begin();

  // The message's reader. `options` bound what a traversal may cost.
  void Open(const capnp::ReaderOptions& options) { reader_.emplace(*this, options); }
  capnp::MessageReader& reader() { return *reader_; }

  // Ends the message: the blocks go back to the peer, and this body to the link, if its channel
  // still receives; otherwise it deletes itself.
  void Release();

  // Gives the blocks back to the peer. Nothing of them can be read any more.
  void GiveBack();

  // The size in words, all segments together.
  uint64_t SizeInWords() const;

  const std::shared_ptr<Link> link;

  // Filled by the channel.
  alignas(capnp::word) uint64_t inline_words[Slot::kWords];
  absl::InlinedVector<kj::ArrayPtr<const capnp::word>, 4> segments;
  absl::InlinedVector<BorrowedBlock, 4> borrowed;
  std::unique_ptr<capnp::word[]> joined;
  absl::InlinedVector<UniqueFd, 1> fds;  // that came with the message

  IncomingBody* next = nullptr;  // FreeList's

 private:
  class Reader final : public capnp::MessageReader {
   public:
    Reader(const IncomingBody& body, const capnp::ReaderOptions& reader_options)
        : MessageReader(reader_options), body_(body) {}
    kj::ArrayPtr<const capnp::word> getSegment(capnp::uint id) override {
      return id < body_.segments.size() ? body_.segments[id] : nullptr;
    }

   private:
    const IncomingBody& body_;
  };

  std::optional<Reader> reader_;
};

}  // namespace shoal
