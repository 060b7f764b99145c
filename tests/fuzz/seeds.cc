#include "shoal/tests/fuzz/seeds.h"

#include <initializer_list>
#include <string_view>

#include "shoal/tests/fuzz/descriptors.h"
#include "shoal/tests/fuzz/handshake_fuzz.h"
#include "shoal/tests/fuzz/input.h"
#include "shoal/tests/fuzz/peer_fuzz.h"
#include "shoal/tests/fuzz/stream_fuzz.h"
#include "shoal/transport/slot_ring.h"

namespace shoal::fuzz {
namespace {

using absl::StatusCode;

constexpr uint8_t kServer = 0;
constexpr uint8_t kClient = 1;

// ---- handshakes ----

uint8_t Fd(FdKind kind) { return static_cast<uint8_t>(kFirstFdKind + static_cast<uint8_t>(kind)); }

// What ends a packet: no byte is changed, and these descriptors come with it.
void Send(Program& program, std::initializer_list<uint8_t> fds) {
  program.Byte(0).Byte(static_cast<uint8_t>(fds.size()));
  for (const uint8_t fd : fds) {
    program.Byte(fd);
  }
}

Program Begun(uint8_t side, HandshakeStep step) {
  Program program;
  program.Byte(side).Byte(static_cast<uint8_t>(step));
  return program;
}

std::vector<uint8_t> Hello(uint8_t side, std::initializer_list<uint8_t> fds) {
  Program program = Begun(side, HandshakeStep::kHello);
  program.Number(0, 2);
  Send(program, fds);
  return program.bytes();
}

std::vector<uint8_t> HelloWith(HelloField field, uint64_t value, size_t bytes) {
  Program program = Begun(kServer, HandshakeStep::kHello);
  program.Number(field, 2).Number(value, bytes);
  Send(program, {kControlFd, kSlabFd});
  return program.bytes();
}

std::vector<uint8_t> HelloOf(std::string_view protocol) {
  Program program = Begun(kClient, HandshakeStep::kHello);
  program.Number(kProtocolField, 2).Block(protocol);
  Send(program, {kControlFd, kSlabFd});
  return program.bytes();
}

std::vector<uint8_t> Refusal(uint32_t version, uint16_t reason) {
  Program program = Begun(kClient, HandshakeStep::kRefusal);
  program.Number(version, 4).Number(reason, 2).Block("for no reason");
  Send(program, {});
  return program.bytes();
}

std::vector<uint8_t> Prelude(uint8_t side, uint8_t kind) {
  Program program = Begun(side, HandshakeStep::kPrelude);
  program.Byte(kind);
  Send(program, {});
  return program.bytes();
}

std::vector<uint8_t> Text(uint8_t side, std::string_view text) {
  Program program = Begun(side, HandshakeStep::kBytes);
  program.Block(text).Byte(0);
  return program.bytes();
}

// ---- peers ----

// Bit 0 trusts the peer, the others are WhenFull: to fail.
constexpr uint8_t kUntrusting = 2;
constexpr uint8_t kTrusting = 3;

Program& operator<<(Program& program, PeerStep step) {
  return program.Byte(static_cast<uint8_t>(step));
}

// A place 4 ahead of where Position() begins is the slot that the victim reads next.
constexpr uint8_t kNextSlot = 4;

Program& SlotHeaderNext(Program& program, uint8_t kind, uint8_t inline_words, uint16_t blocks,
                        uint8_t difference = 0) {
  program << PeerStep::kSlotHeader;
  return program.Byte(kNextSlot).Byte(difference).Byte(kind).Byte(inline_words).Number(blocks, 2);
}

Program& DescriptorNext(Program& program, uint8_t slab, uint32_t offset, uint32_t words) {
  program << PeerStep::kDescriptor;
  return program.Byte(kNextSlot).Byte(0).Byte(slab).Byte(0).Number(offset, 4).Number(words, 4);
}

Program& PeerPublishes(Program& program, uint16_t bytes, uint8_t fds = 0) {
  program << PeerStep::kPublish;
  return program.Number(bytes, 2).Byte(fds);
}

Program& VictimPublishes(Program& program, uint16_t bytes) {
  program << PeerStep::kClaim;
  program.Number(bytes, 2);
  program << PeerStep::kPublishClaim;
  return program.Byte(0);
}

Program& SlabAdded(Program& program, uint8_t number, uint8_t size, FdKind kind) {
  program << PeerStep::kAddSlab;
  return program.Byte(number).Byte(size).Byte(1).Byte(static_cast<uint8_t>(kind)).Byte(size);
}

std::vector<uint8_t> Conversation(uint8_t options) {
  Program program;
  program.Byte(options);
  for (const uint16_t bytes : {10, 1000, 30000, 60000}) {
    PeerPublishes(program, bytes);
    program << PeerStep::kTryReceive;
    VictimPublishes(program, bytes);
    program << PeerStep::kTakeHonestly << PeerStep::kArm << PeerStep::kTrim << PeerStep::kLook;
    program << PeerStep::kFlush << PeerStep::kReadSocket << PeerStep::kReceive;
  }
  PeerPublishes(program, 10, 2) << PeerStep::kReceive << PeerStep::kEndHonestly;
  return program.bytes();
}

Program Untrusting() {
  Program program;
  program.Byte(kUntrusting);
  return program;
}

std::vector<uint8_t> SlotSeed(uint8_t kind, uint8_t inline_words, uint16_t blocks,
                              uint8_t difference = 0) {
  Program program = Untrusting();
  return SlotHeaderNext(program, kind, inline_words, blocks, difference).bytes();
}

std::vector<uint8_t> BlockSeed(uint8_t slab, uint32_t offset, uint32_t words) {
  Program program = Untrusting();
  DescriptorNext(program, slab, offset, words);
  return SlotHeaderNext(program, static_cast<uint8_t>(SlotKind::kMessage), 0, 1).bytes();
}

std::vector<uint8_t> ReceiptSeed(uint8_t loan) {
  Program program = Untrusting();
  VictimPublishes(program, 1000);
  for (const uint8_t place : {0, 1}) {
    program << PeerStep::kReceipt;
    program.Byte(place).Byte(1).Byte(loan);
  }
  return VictimPublishes(program, 1000).bytes();
}

std::vector<uint8_t> ConsumedSeed() {
  Program program = Untrusting();
  for (int i = 0; i < 20; ++i) {
    VictimPublishes(program, 10);
  }
  program << PeerStep::kConsumed;
  program.Byte(255).Number(UINT64_MAX, 8);
  return VictimPublishes(program, 10).bytes();
}

std::vector<uint8_t> SlabSeed(FdKind kind, uint8_t size) {
  Program program = Untrusting();
  SlabAdded(program, 1, size, kind) << PeerStep::kArm << PeerStep::kReceive;
  DescriptorNext(program, 1, 0, 4);
  return SlotHeaderNext(program, static_cast<uint8_t>(SlotKind::kMessage), 0, 1).bytes();
}

std::vector<uint8_t> SlabTwice() {
  Program program = Untrusting();
  SlabAdded(program, 1, 2, FdKind::kRegion);
  program << PeerStep::kDropSlab;
  program.Byte(1);
  return (SlabAdded(program, 1, 2, FdKind::kRegion) << PeerStep::kArm).bytes();
}

std::vector<uint8_t> FullSocket() {
  Program program = Untrusting();
  for (int i = 0; i < 8; ++i) {
    program << PeerStep::kRing;
    program.Byte(255);
  }
  PeerPublishes(program, 10) << PeerStep::kArm << PeerStep::kReceive << PeerStep::kLeave;
  return program.bytes();
}

// ---- streams ----

Program& operator<<(Program& program, StreamStep step) {
  return program.Byte(static_cast<uint8_t>(step));
}

Program Stream() {
  Program program;
  program.Byte(1);
  return program;
}

std::vector<uint8_t> StreamOf(std::string_view bytes) {
  Program program = Stream();
  program << StreamStep::kSend;
  program.Block(bytes) << StreamStep::kReadable << StreamStep::kTryReceive;
  return (program << StreamStep::kPublish << StreamStep::kArm << StreamStep::kReceive).bytes();
}

// One segment of one word, which is a null pointer.
constexpr std::string_view kSmallestMessage("\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0", 16);

std::vector<uint8_t> StreamThatEnds() {
  Program program = Stream();
  program << StreamStep::kSend;
  program.Block(kSmallestMessage) << StreamStep::kStop << StreamStep::kReceive;
  return program.bytes();
}

std::vector<uint8_t> TableOfMany() {
  Program program = Stream();
  program << StreamStep::kSendTable;
  program.Byte(3).Number(1, 2).Number(0, 2).Number(65535, 2).Number(2, 2);
  return program.bytes();
}

}  // namespace

std::vector<Seed> HandshakeSeeds() {
  return {
      {"hello-to-server", Hello(kServer, {kControlFd, kSlabFd}), StatusCode::kOk},
      {"hello-to-client", Hello(kClient, {kControlFd, kSlabFd}), StatusCode::kOk},
      {"no-regions", Hello(kServer, {}), StatusCode::kDataLoss},
      {"one-region", Hello(kServer, {kControlFd}), StatusCode::kDataLoss},
      {"three-regions", Hello(kServer, {kControlFd, kSlabFd, kSlabFd}), StatusCode::kDataLoss},
      {"regions-swapped", Hello(kServer, {kSlabFd, kControlFd}), StatusCode::kDataLoss},
      {"foreign-control", Hello(kServer, {Fd(FdKind::kRegion), kSlabFd}), StatusCode::kDataLoss},
      {"slab-not-sealed", Hello(kServer, {kControlFd, Fd(FdKind::kNotWriteSealed)}),
       StatusCode::kDataLoss},
      {"slab-with-hole", Hello(kServer, {kControlFd, Fd(FdKind::kWithHole)}),
       StatusCode::kDataLoss},
      {"slab-smaller", Hello(kServer, {kControlFd, Fd(FdKind::kSmaller)}), StatusCode::kDataLoss},
      {"slab-is-socket", Hello(kClient, {kControlFd, Fd(FdKind::kSocket)}), StatusCode::kDataLoss},
      {"other-version", HelloWith(kVersionField, 99, 4), StatusCode::kFailedPrecondition},
      {"other-magic", HelloWith(kMagicField, 1, 8), StatusCode::kInvalidArgument},
      {"other-epoch", HelloWith(kEpochField, 1, 8), StatusCode::kDataLoss},
      {"many-slots", HelloWith(kSlotsField, 1u << 31, 4), StatusCode::kDataLoss},
      {"many-receipts", HelloWith(kReceiptsField, UINT32_MAX, 4), StatusCode::kDataLoss},
      {"large-slab", HelloWith(kSlabBytesField, UINT64_MAX, 8), StatusCode::kResourceExhausted},
      {"no-slab", HelloWith(kSlabBytesField, 0, 8), StatusCode::kDataLoss},
      {"accepts-nothing", HelloWith(kMaxWordsField, 0, 8), StatusCode::kOk},
      {"other-protocol", HelloOf("ticks"), StatusCode::kFailedPrecondition},
      {"refused", Refusal(1, 0), StatusCode::kFailedPrecondition},
      {"refused-unknown", Refusal(1, 999), StatusCode::kDataLoss},
      {"foreign", Text(kServer, "GET / HTTP/1.1\r\n\r\n"), StatusCode::kInvalidArgument},
      {"too-long", Text(kClient, std::string(5000, 'x')), StatusCode::kDataLoss},
      {"nothing", {kServer}, StatusCode::kDeadlineExceeded},
      {"knock", Prelude(kServer, 0), StatusCode::kDeadlineExceeded},
      {"knock-at-client", Prelude(kClient, 0), StatusCode::kDataLoss},
      {"welcome-unasked", Prelude(kClient, 1), StatusCode::kDataLoss},
      {"leaves", Begun(kServer, HandshakeStep::kLeave).bytes(), StatusCode::kUnavailable},
      {"empty-packet", Begun(kServer, HandshakeStep::kEmpty).bytes(), StatusCode::kDataLoss},
  };
}

std::vector<Seed> PeerSeeds() {
  constexpr auto kMessage = static_cast<uint8_t>(SlotKind::kMessage);
  constexpr auto kFds = static_cast<uint8_t>(SlotKind::kFds);
  constexpr auto kMore = static_cast<uint8_t>(SlotKind::kMore);
  constexpr auto kEnd = static_cast<uint8_t>(SlotKind::kEnd);
  constexpr auto kStruct = static_cast<uint8_t>(SlotKind::kStruct);
  return {
      {"conversation", Conversation(kUntrusting), StatusCode::kUnavailable},
      {"conversation-trusting", Conversation(kTrusting), StatusCode::kUnavailable},
      {"conversation-spilling", Conversation(4), StatusCode::kUnavailable},
      {"ends", SlotSeed(kEnd, 0, 0), StatusCode::kUnavailable},
      {"sequence-jump", SlotSeed(kMessage, 1, 0, 1), StatusCode::kDataLoss},
      {"rest-of-nothing", SlotSeed(kMore, 0, 0), StatusCode::kDataLoss},
      {"kind-0", SlotSeed(0, 0, 0), StatusCode::kDataLoss},
      {"many-inline-words", SlotSeed(kMessage, 32, 0), StatusCode::kDataLoss},
      {"many-blocks", SlotSeed(kMessage, 0, UINT16_MAX), StatusCode::kDataLoss},
      {"struct", SlotSeed(kStruct, 2, 1), StatusCode::kDeadlineExceeded},
      {"struct-beyond-its-words", SlotSeed(kStruct, 2, UINT16_MAX), StatusCode::kDeadlineExceeded},
      {"struct-of-nothing", SlotSeed(kStruct, 0, 0), StatusCode::kDataLoss},
      {"struct-of-many-words", SlotSeed(kStruct, 32, 0), StatusCode::kDataLoss},
      {"fds-never-sent", SlotSeed(kFds, 1, 0), StatusCode::kDataLoss},
      {"block-of-no-slab", BlockSeed(9, 0, 1), StatusCode::kDataLoss},
      {"block-past-end", BlockSeed(0, 8191, 2), StatusCode::kDataLoss},
      {"block-wraps", BlockSeed(0, UINT32_MAX, UINT32_MAX), StatusCode::kDataLoss},
      {"receipt-of-nothing", ReceiptSeed(3), StatusCode::kDataLoss},
      {"receipt-twice", ReceiptSeed(15), StatusCode::kDataLoss},
      {"consumed-ahead", ConsumedSeed(), StatusCode::kDataLoss},
      {"slab", SlabSeed(FdKind::kRegion, 2), StatusCode::kDeadlineExceeded},
      {"slab-not-sealed", SlabSeed(FdKind::kNotShrinkSealed, 2), StatusCode::kDataLoss},
      {"slab-of-nothing", SlabSeed(FdKind::kEmpty, 0), StatusCode::kDataLoss},
      {"slab-twice", SlabTwice(), StatusCode::kDataLoss},
      {"socket-full", FullSocket(), StatusCode::kDeadlineExceeded},
  };
}

std::vector<Seed> RacingPeerSeeds() {
  Program slab;
  slab.Byte(1);
  for (uint16_t at = 0; at < 40; ++at) {
    slab.Number(at * 3, 2).Number(0x0000000100000004 << (at % 16), 8);
  }
  Program control;
  control.Byte(0);
  for (uint16_t at = 256; at < 300; at += 2) {
    control.Number(at, 2).Number(uint64_t{1} << at % 64, 8);
  }
  return {{"slab", slab.bytes(), StatusCode::kDeadlineExceeded},
          {"control", control.bytes(), StatusCode::kUnknown}};
}

std::vector<Seed> StreamSeeds() {
  using std::string_view;
  return {
      {"message", StreamOf(kSmallestMessage), StatusCode::kDeadlineExceeded},
      {"half", StreamOf(kSmallestMessage.substr(0, 12)), StatusCode::kDeadlineExceeded},
      {"ends", StreamThatEnds(), StatusCode::kUnavailable},
      {"many-segments", StreamOf(string_view("\xff\xff\xff\xff\1\0\0\0", 8)),
       StatusCode::kDataLoss},
      {"large-segment", StreamOf(string_view("\0\0\0\0\xff\xff\xff\xff", 8)),
       StatusCode::kDataLoss},
      {"empty-segment", StreamOf(string_view("\0\0\0\0\0\0\0\0", 8)),
       StatusCode::kDeadlineExceeded},
      {"sum-of-segments", TableOfMany(), StatusCode::kDataLoss},
  };
}

}  // namespace shoal::fuzz
