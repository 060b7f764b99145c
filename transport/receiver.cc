#include "shoal/transport/receiver.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <functional>
#include <new>
#include <span>
#include <utility>
#include <variant>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "shoal/transport/news.h"
#include "shoal/transport/system_error.h"

namespace shoal {
namespace {

// Each takes up to 64 packets from the socket, whose buffer holds a few hundred.
constexpr int kMostLooks = 64;

}  // namespace

Receiver::Receiver(std::shared_ptr<Link> link, MessageLimit limit, Trust trust)
    : link_(std::move(link)),
      limit_(limit),
      trust_(trust),
      ring_(link_->theirs.slots(), link_->theirs.shape().slots),
      joiner_(limit) {}

Receiver::~Receiver() { link_->incoming.Close(); }

absl::StatusOr<IncomingBody*> Receiver::Take() {
  waiting_ = Waiting::kNothing;
  // A peer may write parts of messages for ever, as fast as they are read. After a lap, which is
  // all that one which is gone can have left, the caller looks at its deadline and whom else it
  // serves.
  for (uint32_t slots = 0; slots < ring_.count() && !ended_; ++slots) {
    const std::optional<SlotHeader> header = ring_.Next();
    if (!header) {
      const absl::Status heard = HearNews();
      return heard.ok() ? absl::StatusOr<IncomingBody*>(nullptr) : heard;
    }
    if (absl::Status valid = Check(*header); !valid.ok()) {
      return valid;
    }
    if (header->kind == SlotKind::kStruct) {
      return TakeStruct(*header);
    }
    if (header->kind == SlotKind::kMessage) {
      return TakeMessage(*header);
    }
    if (header->kind == SlotKind::kFragment) {
      absl::StatusOr<IncomingBody*> body = TakeFragment(*header);
      if (!body.ok() || *body != nullptr) {
        return body;
      }
      continue;
    }
    if (header->kind == SlotKind::kFds) {
      if (absl::Status taken = TakeFds(*header); !taken.ok()) {
        return taken;
      }
      continue;
    }
    ended_ = header->kind == SlotKind::kEnd;
    joiner_.Abandon();
    next_fds_.clear();
    Consume(1);
  }
  return nullptr;
}

absl::Status Receiver::Check(const SlotHeader& header) const {
  if (!ring_.InSequence(header)) {
    return CorruptPeer(
        link_->peer, "a slot's sequence", header.sequence,
        absl::StrCat(static_cast<uint32_t>(ring_.consumed() + 1), ", or what it was a lap before"));
  }
  if (header.kind < SlotKind::kMessage || header.kind > SlotKind::kStruct) {
    return CorruptPeer(link_->peer, "a slot's kind", static_cast<uint64_t>(header.kind), "1 to 6");
  }
  if (header.inline_words > Slot::kWords) {
    return CorruptPeer(link_->peer, "a slot's inline words", header.inline_words,
                       absl::StrCat("at most ", Slot::kWords));
  }
  const bool begins = header.kind == SlotKind::kMessage || header.kind == SlotKind::kStruct ||
                      header.kind == SlotKind::kFds;
  if (begins && joiner_.joining()) {
    return CorruptPeer(link_->peer, "a slot's kind, in the middle of a message in fragments,",
                       static_cast<uint64_t>(header.kind), "2 to 4");
  }
  if (header.kind == SlotKind::kFds && !next_fds_.empty()) {
    return CorruptPeer(link_->peer, "a slot's kind, behind that of descriptors,",
                       static_cast<uint64_t>(header.kind), "1 to 4, or 6");
  }
  if (header.kind == SlotKind::kStruct) {
    return header.inline_words > 0
               ? absl::OkStatus()
               : CorruptPeer(link_->peer, "the inline words of a struct", 0, "at least 1");
  }
  if (header.kind != SlotKind::kMessage && header.blocks > 0) {
    return CorruptPeer(link_->peer, "the blocks of a slot that is not a message", header.blocks,
                       "0");
  }
  const uint32_t most = MaxSlotsPerMessage(ring_.count());
  if (SlotsFor(header.inline_words, header.blocks) > most) {
    return CorruptPeer(link_->peer, "a message's blocks", header.blocks,
                       absl::StrCat("what fits ", most, " slots"));
  }
  return absl::OkStatus();
}

absl::Status Receiver::CheckSize(uint64_t words) const {
  if (words <= limit_.words) {
    return absl::OkStatus();
  }
  return CorruptPeer(link_->peer, "a message's size in words", words,
                     absl::StrCat("at most ", limit_.Describe()));
}

absl::StatusOr<IncomingBody*> Receiver::TakeStruct(const SlotHeader& header) {
  if (absl::Status size = CheckSize(header.inline_words); !size.ok()) {
    return size;
  }
  IncomingBody* body = NewBody();
  body->inline_words[0] = StructPointer(header.blocks);
  ring_.ReadPayload(0, {body->inline_words + 1, header.inline_words - size_t{1}});
  AddInline(header.inline_words, *body);
  Consume(1);
  Received(*body);
  return body;
}

absl::StatusOr<IncomingBody*> Receiver::TakeMessage(const SlotHeader& header) {
  if (absl::Status size = CheckSize(header.inline_words); !size.ok()) {
    return size;
  }
  IncomingBody* body = NewBody();
  auto give_up = absl::MakeCleanup([this, body] { GiveUp(*body); });
  uint64_t total_words = header.inline_words;
  if (header.inline_words > 0) {
    ring_.ReadPayload(0, {body->inline_words, header.inline_words});
    AddInline(header.inline_words, *body);
  }
  for (uint32_t i = 0; i < header.blocks; ++i) {
    std::array<uint64_t, 2> words;
    ring_.ReadPayload(header.inline_words + 2 * i, words);
    const auto block = std::bit_cast<BlockDescriptor>(words);
    if (absl::Status added = AddBlock(block, total_words, *body); !added.ok()) {
      return added;
    }
  }
  if (header.blocks > 1) {
    if (absl::Status differ = CheckBlocksDiffer(*body); !differ.ok()) {
      return differ;
    }
  }
  if (trust_ == Trust::kNone && header.blocks > 0) {
    absl::Status copied = CopyBlocks(total_words - header.inline_words, *body);
    if (!copied.ok()) {
      return copied;
    }
  }
  Consume(SlotsFor(header.inline_words, header.blocks));
  Received(*body);
  std::move(give_up).Cancel();
  return body;
}

void Receiver::AddInline(size_t words, IncomingBody& body) {
  body.segments.push_back(
      kj::arrayPtr(reinterpret_cast<const capnp::word*>(body.inline_words), words));
}

absl::Status Receiver::AddBlock(const BlockDescriptor& block, uint64_t& total_words,
                                IncomingBody& body) {
  if (absl::Status known = LearnOfSlab(block.slab); !known.ok()) {
    return known;
  }
  const std::optional<PeerBlock> found = link_->theirs.slabs().Find(block);
  if (!found) {
    return CorruptPeer(
        link_->peer,
        absl::StrCat("a block in slab ", block.slab, " of ", block.words, " words at offset"),
        block.offset_words, "inside a slab of this connection");
  }
  total_words += block.words;
  if (absl::Status size = CheckSize(total_words); !size.ok()) {
    return size;
  }
  if (borrowed_ - link_->receipts.written() >= link_->receipts.count()) {
    return CorruptPeer(link_->peer, "blocks lent at a time", link_->receipts.count() + 1,
                       absl::StrCat("at most ", link_->receipts.count()));
  }
  ++borrowed_;
  found->Borrow();
  body.borrowed.push_back({.loan = block.loan, .block = *found});
  body.segments.push_back(kj::arrayPtr(found->words.data(), found->words.size()));
  return absl::OkStatus();
}

absl::Status Receiver::CheckBlocksDiffer(const IncomingBody& body) const {
  // Else a message could be larger than the memory that its sender has for it.
  absl::InlinedVector<std::span<const capnp::word>, 16> blocks;
  for (const BorrowedBlock& borrowed : body.borrowed) {
    blocks.push_back(borrowed.block.words);
  }
  // std::less orders pointers into different slabs too.
  std::sort(blocks.begin(), blocks.end(),
            [](const auto& a, const auto& b) { return std::less<>()(a.data(), b.data()); });
  for (size_t i = 1; i < blocks.size(); ++i) {
    if (std::less<>()(blocks[i].data(), blocks[i - 1].data() + blocks[i - 1].size())) {
      return CorruptPeer(link_->peer, "the words that two blocks of a message share",
                         blocks[i - 1].data() + blocks[i - 1].size() - blocks[i].data(),
                         "0, for each part of a slab is in a message once");
    }
  }
  return absl::OkStatus();
}

absl::Status Receiver::CopyBlocks(uint64_t words, IncomingBody& body) {
  body.joined.reset(new (std::nothrow) capnp::word[words]);
  if (body.joined == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("no memory for a message of ", words,
                                                     " words from ", link_->peer.Describe(),
                                                     "; lower ChannelOptions::max_message_words"));
  }
  capnp::word* next = body.joined.get();
  for (size_t i = body.segments.size() - body.borrowed.size(); i < body.segments.size(); ++i) {
    kj::ArrayPtr<const capnp::word>& segment = body.segments[i];
    std::memcpy(static_cast<void*>(next), segment.begin(), segment.size() * sizeof(capnp::word));
    segment = kj::arrayPtr(next, segment.size());
    next += segment.size();
  }
  counters().copied_words.Add(words);
  body.GiveBack();
  return absl::OkStatus();
}

absl::Status Receiver::LearnOfSlab(uint32_t number) {
  return HearNewsUntil([&] { return link_->theirs.slabs().Has(number); });
}

absl::Status Receiver::TakeFds(const SlotHeader& header) {
  uint64_t count = 0;
  ring_.ReadPayload(0, {&count, header.inline_words == 1 ? size_t{1} : size_t{0}});
  if (count == 0 || count > link_->fd_limits.received) {
    return CorruptPeer(
        link_->peer, "a message's count of descriptors", count,
        absl::StrCat("from 1 to ChannelOptions::max_fds_per_message, ", link_->fd_limits.received));
  }
  if (absl::Status heard = HearNewsUntil([&] { return !fds_heard_.empty(); }); !heard.ok()) {
    return heard;
  }
  if (fds_heard_.empty()) {
    return CorruptPeer(link_->peer, "descriptors sent ahead of their message", 0,
                       absl::StrCat(count));
  }
  MessageFds& heard = fds_heard_.front();
  if (heard.fds.size() != count) {
    return CorruptPeer(link_->peer, "descriptors sent ahead of their message", heard.fds.size(),
                       absl::StrCat(count));
  }
  next_fds_ = std::move(heard.fds);
  fds_heard_.pop_front();
  Consume(1);
  return absl::OkStatus();
}

template <typename Done>
absl::Status Receiver::HearNewsUntil(Done done) {
  // The peer sent it before it wrote to the ring, and the ring outruns the socket. Bounded, because
  // a peer may send for ever.
  for (int i = 0; i < kMostLooks && !done(); ++i) {
    const Doorbell::Drained drained = link_->doorbell.DrainNow();
    absl::Status heard = HearNews();
    if (!heard.ok() || drained == Doorbell::Drained::kNothing) {
      return heard;
    }
    if (drained == Doorbell::Drained::kShortOfFds && !done()) {
      waiting_ = Waiting::kMessage;
      return ShortOfFds();
    }
  }
  return absl::OkStatus();
}

absl::Status Receiver::HearAll() {
  waiting_ = Waiting::kNothing;
  absl::Status heard = HearNewsUntil([] { return false; });
  if (waiting_ == Waiting::kMessage) {
    waiting_ = Waiting::kNews;
  }
  return heard;
}

absl::Status Receiver::ShortOfFds() const {
  return SystemError(EMFILE, absl::StrCat("receiving a descriptor from ", link_->peer.Describe(),
                                          ", which waits until there is room"));
}

absl::Status Receiver::HearNews() {
  if (!link_->doorbell.has_news()) {
    return absl::OkStatus();
  }
  if (absl::Status bounded = link_->CheckNotFlooded(); !bounded.ok()) {
    return bounded;
  }
  for (Doorbell::Packet& packet : link_->doorbell.TakeNews()) {
    absl::StatusOr<News> news = ParseNews(std::move(packet), link_->peer);
    if (!news.ok()) {
      return news.status();
    }
    PeerSlabs& slabs = link_->theirs.slabs();
    absl::Status heard = absl::OkStatus();
    if (auto* added = std::get_if<SlabAdded>(&*news)) {
      heard = slabs.Add(added->number, added->bytes, std::move(added->fd), link_->peer);
    } else if (const auto* dropped = std::get_if<SlabDropped>(&*news)) {
      heard = slabs.Drop(dropped->number, link_->peer);
    } else if (auto* fds = std::get_if<MessageFds>(&*news)) {
      heard = KeepFds(std::move(*fds));
    }
    if (!heard.ok()) {
      return heard;
    }
  }
  return absl::OkStatus();
}

absl::Status Receiver::KeepFds(MessageFds fds) {
  fds_heard_.push_back(std::move(fds));
  return fds_heard_.size() <= kMaxFdPacketsOnTheWay
             ? absl::OkStatus()
             : CorruptPeer(link_->peer, "packets of descriptors ahead of their messages",
                           fds_heard_.size(), absl::StrCat("at most ", kMaxFdPacketsOnTheWay));
}

absl::StatusOr<IncomingBody*> Receiver::TakeFragment(const SlotHeader& header) {
  uint64_t words[Slot::kWords];
  ring_.ReadPayload(0, {words, header.inline_words});
  if (absl::Status added = joiner_.Add({words, header.inline_words}, link_->peer); !added.ok()) {
    return added;
  }
  Consume(1);
  counters().copied_words.Add(header.inline_words);
  std::optional<JoinedMessage> message = joiner_.TakeFinished();
  if (!message) {
    return nullptr;
  }
  IncomingBody* body = NewBody();
  body->joined = std::move(message->words);
  body->segments = std::move(message->segments);
  Received(*body);
  return body;
}

IncomingBody* Receiver::NewBody() {
  IncomingBody* body = link_->incoming.Take();
  if (body == nullptr) {
    body = new IncomingBody(link_);
  }
  body->Begin();
  return body;
}

void Receiver::GiveUp(IncomingBody& body) {
  if (waiting_ == Waiting::kMessage) {
    // No receipts, because it will be taken again.
    for (const BorrowedBlock& lent : body.borrowed) {
      lent.block.GiveBack();
    }
    borrowed_ -= body.borrowed.size();
    body.borrowed.clear();
  }
  body.Release();
}

void Receiver::Received(IncomingBody& body) {
  if (!next_fds_.empty()) {
    body.fds = std::exchange(next_fds_, {});
  }
  counters().messages.Add(1);
  counters().bytes.Add(body.SizeInWords() * sizeof(capnp::word));
  counters().segments.Add(body.segments.size());
}

void Receiver::Consume(uint32_t slots) {
  ring_.Advance(slots);
  if (link_->rang_peer.load(std::memory_order_relaxed)) {
    link_->rang_peer.store(false, std::memory_order_relaxed);
  }
  // At every message, before control goes back to the application, which may not come again for
  // long. seq_cst: one half of the writer's sleep for room, see parked_flag.h; its partner is the
  // load in Sender::HasConsumed. It also releases the slots: all loads from them come before.
  link_->own.control().consumed.value.store(ring_.consumed(), std::memory_order_seq_cst);
  if (link_->starved_peer.MustRing()) {
    counters().rings.Add(1);
    link_->Ring();
  }
}

}  // namespace shoal
