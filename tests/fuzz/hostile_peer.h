// One end of a connection, whose memory and socket a program writes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "shoal/tests/fuzz/input.h"
#include "shoal/transport/link.h"
#include "shoal/transport/receiver.h"
#include "shoal/transport/sender.h"
#include "shoal/transport/slot_ring.h"
#include "shoal/transport/unique_fd.h"

namespace shoal::fuzz {

// It has an honest sender and receiver too, so that what it corrupts is a conversation. Each step
// takes its operands from the input. One thread.
class HostilePeer {
 public:
  // `victim` is the other end: the peer reads there, as a peer may, how far the victim is.
  HostilePeer(std::shared_ptr<Link> own, const Link& victim);

  void WriteSlotHeader(Input& input);
  void WritePayload(Input& input);
  void WriteDescriptor(Input& input);
  void WriteControlWord(Input& input);
  void WriteSlabWord(Input& input);
  void WriteConsumed(Input& input);
  void WriteReceipt(Input& input);
  void WriteFlags(Input& input);
  void AddSlab(Input& input);
  void DropSlab(Input& input);
  void SendFdsNews(Input& input);
  void SendAnyNews(Input& input);
  void Ring(Input& input);
  void Publish(Input& input);
  void TakeHonestly();
  void EndHonestly();
  void ReadSocket();
  void Leave();

  // Makes all of its first slab something else than it was.
  void ScribbleOverSlab();

 private:
  void UnpoisonSlab();
  uint64_t Position(Input& input) const;
  Slot& SlotAt(uint64_t position);
  void StoreWord(uint64_t& word, uint64_t value);
  void SendFds(std::span<const std::byte> bytes, Input& input, int most);

  const std::shared_ptr<Link> own_;
  const Link& victim_;
  capnp::word* const slab_;
  Sender sender_;
  Receiver receiver_;
};

}  // namespace shoal::fuzz
