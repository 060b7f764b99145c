#include "shoal/tests/fuzz/hostile_peer.h"

#include <sanitizer/asan_interface.h>

#include <atomic>
#include <bit>
#include <cstring>
#include <utility>

#include "capnp/message.h"
#include "capnp/serialize.h"
#include "shoal/schema/news.capnp.h"
#include "shoal/tests/fuzz/descriptors.h"
#include "shoal/tests/fuzz/reading.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/packet.h"

namespace shoal::fuzz {
namespace {

constexpr size_t kMostNewsBytes = 200;  // more than a doorbell takes
constexpr int kSlabKinds = 4;  // sizes of a slab: none, a page, the first one's, its double

uint64_t SlabBytesOf(uint8_t byte) {
  constexpr uint64_t kSizes[kSlabKinds] = {0, 4096, 64 << 10, 128 << 10};
  return kSizes[byte % kSlabKinds];
}

}  // namespace

HostilePeer::HostilePeer(std::shared_ptr<Link> own, const Link& victim)
    : own_(std::move(own)),
      victim_(victim),
      slab_(FirstSlab(*own_)),
      sender_(own_),
      receiver_(own_, kMaxFuzzedWords) {}

// relaxed: victim and peer take turns.
void HostilePeer::StoreWord(uint64_t& word, uint64_t value) {
  std::atomic_ref(word).store(value, std::memory_order_relaxed);
}

// Of a slot between 4 behind what the victim reads next and 11 ahead of it.
uint64_t HostilePeer::Position(Input& input) const {
  auto& control = const_cast<Link&>(victim_).own.control();
  return control.consumed.value.load(std::memory_order_relaxed) + input.Byte() % 16 - 4;
}

Slot& HostilePeer::SlotAt(uint64_t position) {
  return own_->own.slots()[position % own_->own.shape().slots];
}

void HostilePeer::WriteSlotHeader(Input& input) {
  const uint64_t position = Position(input);
  const auto difference = static_cast<int8_t>(input.Byte());
  const SlotHeader header = {.sequence = static_cast<uint32_t>(position + 1 + difference),
                             .kind = static_cast<SlotKind>(input.Byte()),
                             .inline_words = input.Byte(),
                             .blocks = static_cast<uint16_t>(input.Number(2))};
  SlotAt(position).header.store(std::bit_cast<uint64_t>(header), std::memory_order_relaxed);
}

void HostilePeer::WritePayload(Input& input) {
  Slot& slot = SlotAt(Position(input));
  uint64_t& word = slot.words[input.Byte() % Slot::kWords];
  StoreWord(word, input.Number(8));
}

void HostilePeer::WriteDescriptor(Input& input) {
  Slot& slot = SlotAt(Position(input));
  const size_t at = input.Byte() % (Slot::kWords - 1);
  const BlockDescriptor block = {.slab = static_cast<uint32_t>(input.Number(1)),
                                 .loan = static_cast<uint32_t>(input.Number(1)),
                                 .offset_words = static_cast<uint32_t>(input.Number(4)),
                                 .words = static_cast<uint32_t>(input.Number(4))};
  const auto words = std::bit_cast<std::array<uint64_t, 2>>(block);
  StoreWord(slot.words[at], words[0]);
  StoreWord(slot.words[at + 1], words[1]);
}

void HostilePeer::WriteControlWord(Input& input) {
  auto* words = reinterpret_cast<uint64_t*>(&own_->own.control());
  const size_t count = own_->own.shape().control_bytes() / sizeof(uint64_t);
  const size_t at = input.Number(2) % count;
  StoreWord(words[at], input.Number(8));
}

void HostilePeer::WriteSlabWord(Input& input) {
  UnpoisonSlab();
  const size_t at = input.Number(2) % kSmallSlabWords;
  StoreWord(reinterpret_cast<uint64_t*>(slab_)[at], input.Number(8));
}

void HostilePeer::WriteConsumed(Input& input) {
  std::atomic<uint64_t>& consumed = own_->own.control().consumed.value;
  const uint8_t by = input.Byte();
  const uint64_t before = consumed.load(std::memory_order_relaxed);
  consumed.store(by == 255 ? input.Number(8) : before + static_cast<int8_t>(by),
                 std::memory_order_relaxed);
}

void HostilePeer::WriteReceipt(Input& input) {
  const size_t at = input.Byte() % own_->own.shape().receipts;
  const uint64_t lap = input.Byte();
  own_->own.receipts()[at].store(lap << 32 | input.Byte(), std::memory_order_relaxed);
}

void HostilePeer::WriteFlags(Input& input) {
  Control& control = own_->own.control();
  SharedWord* const flags[] = {&control.parked, &control.starved, &control.cpu, &control.notices};
  SharedWord& flag = *flags[input.Byte() % 4];
  flag.value.store(input.Number(2), std::memory_order_relaxed);
}

void HostilePeer::SendFds(std::span<const std::byte> bytes, Input& input, int most) {
  std::vector<UniqueFd> made;
  std::vector<int> fds;
  for (int left = input.Byte() % (most + 1); left > 0; --left) {
    const FdKind kind = FdKindOf(input.Byte());
    made.push_back(MakeFd(kind, SlabBytesOf(input.Byte())));
    fds.push_back(made.back().get());
  }
  // A socket that is full, or gone, takes none.
  own_->doorbell.SendNews(bytes, fds).IgnoreError();
}

void HostilePeer::AddSlab(Input& input) {
  capnp::MallocMessageBuilder message;
  auto added = message.initRoot<schema::News>().initSlabAdded();
  added.setNumber(static_cast<uint32_t>(input.Number(1)));
  const uint8_t size = input.Byte();
  added.setBytes(size == 255 ? input.Number(8) : SlabBytesOf(size));
  const auto words = capnp::messageToFlatArray(message);
  SendFds(std::as_bytes(std::span(words.asBytes().begin(), words.asBytes().size())), input, 2);
}

void HostilePeer::DropSlab(Input& input) {
  SendSlabDropped(own_->doorbell, static_cast<uint32_t>(input.Number(1))).IgnoreError();
}

void HostilePeer::SendFdsNews(Input& input) {
  capnp::MallocMessageBuilder message;
  message.initRoot<schema::News>().setMessageFds();
  const auto words = capnp::messageToFlatArray(message);
  SendFds(std::as_bytes(std::span(words.asBytes().begin(), words.asBytes().size())), input, 6);
}

void HostilePeer::SendAnyNews(Input& input) {
  const auto bytes = input.Block(kMostNewsBytes);
  SendFds(std::as_bytes(bytes), input, 3);
}

void HostilePeer::Ring(Input& input) {
  for (int left = input.Byte(); left > 0; --left) {
    own_->doorbell.Ring();
  }
}

void HostilePeer::Publish(Input& input) {
  const BodyRef body = sender_.Claim(0);
  BuildBlob(body->builder(), 1, input.Number(2));
  std::vector<UniqueFd> made;
  std::vector<int> fds;
  for (int left = input.Byte() % 3; left > 0; --left) {
    made.push_back(MakeFd(FdKind::kEvent, 0));
    fds.push_back(made.back().get());
  }
  body->SetFds(fds);
  sender_.Offer(*body).status().IgnoreError();
  sender_.Abandon();
}

void HostilePeer::TakeHonestly() {
  const absl::StatusOr<IncomingBody*> body = receiver_.Take();
  if (body.ok() && *body != nullptr) {
    (*body)->Release();
  }
}

void HostilePeer::EndHonestly() { sender_.OfferEnd().status().IgnoreError(); }

void HostilePeer::ReadSocket() { own_->doorbell.Drain(); }

void HostilePeer::Leave() { own_->doorbell.HangUp(); }

void HostilePeer::UnpoisonSlab() {
  // It writes without a claim, also to blocks that it has dropped.
  ASAN_UNPOISON_MEMORY_REGION(slab_, kSmallSlabWords * sizeof(capnp::word));
}

void HostilePeer::ScribbleOverSlab() {
  UnpoisonSlab();
  for (uint32_t i = 0; i < kSmallSlabWords; ++i) {
    uint64_t& word = reinterpret_cast<uint64_t*>(slab_)[i];
    StoreWord(word, ~word);
  }
}

}  // namespace shoal::fuzz
