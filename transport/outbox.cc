#include "shoal/transport/outbox.h"

#include <unistd.h>

#include <new>

#include "absl/strings/str_cat.h"

namespace shoal {
namespace {

size_t RoundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

template <typename T, typename Byte>
T* At(Byte* base, size_t offset) {
  return reinterpret_cast<T*>(base + offset);
}

// A region's memory as bytes, constant if the region is.
std::byte* Bytes(Region& region) { return reinterpret_cast<std::byte*>(region.data()); }
const std::byte* Bytes(const Region& region) {
  return reinterpret_cast<const std::byte*>(region.data());
}

}  // namespace

absl::Status OutboxShape::Validate() const {
  return shoal::Validate(ChannelOptions{
      .slots = slots, .loans = receipts, .slab_bytes = slab_bytes, .max_slabs_bytes = slab_bytes});
}

size_t OutboxShape::receipts_offset() const { return sizeof(Control); }

size_t OutboxShape::slots_offset() const {
  return RoundUp(receipts_offset() + receipts * sizeof(Receipt), sizeof(Slot));
}

size_t OutboxShape::control_bytes() const {
  return RoundUp(slots_offset() + slots * sizeof(Slot), PageBytes());
}

absl::StatusOr<Outbox> Outbox::Create(const OutboxShape& shape, uint64_t epoch,
                                      Region::Pages slab_pages) {
  absl::StatusOr<Region> counters = Region::Create(RoundUp(sizeof(CounterPage), PageBytes()));
  if (!counters.ok()) {
    return counters.status();
  }
  absl::StatusOr<Region> control = Region::Create(shape.control_bytes());
  if (!control.ok()) {
    return control.status();
  }
  absl::StatusOr<Region> slab = Region::Create(shape.slab_bytes, slab_pages);
  if (!slab.ok()) {
    return slab.status();
  }
  absl::StatusOr<ForkMark> fork_mark = ForkMark::Create();
  if (!fork_mark.ok()) {
    return fork_mark.status();
  }
  Outbox outbox(shape, *std::move(counters), *std::move(control), *std::move(slab),
                *std::move(fork_mark));
  const auto pid = static_cast<uint32_t>(getpid());
  new (&outbox.control().header) Control::Header{.magic = kMagic,
                                                 .version = kProtocolVersion,
                                                 .pid = pid,
                                                 .epoch = epoch,
                                                 .slots = shape.slots,
                                                 .receipts = shape.receipts,
                                                 .slab_bytes = shape.slab_bytes};
  new (&outbox.counters().header) CounterPage::Header{.magic = CounterPage::kMagic,
                                                      .version = kProtocolVersion,
                                                      .pid = pid,
                                                      .epoch = epoch,
                                                      .slots = shape.slots,
                                                      .receipts = shape.receipts,
                                                      .peer_pid = 0,
                                                      .peer_uid = 0};
  return outbox;
}

Receipt* Outbox::receipts() { return At<Receipt>(Bytes(control_), shape_.receipts_offset()); }

Slot* Outbox::slots() { return At<Slot>(Bytes(control_), shape_.slots_offset()); }

absl::StatusOr<PeerOutbox> PeerOutbox::Map(const OutboxShape& shape, uint64_t epoch,
                                           const Peer& peer, UniqueFd control, UniqueFd slab,
                                           PeerSlabs slabs) {
  if (absl::Status valid = shape.Validate(); !valid.ok()) {
    return absl::DataLossError(absl::StrCat(
        "the peer offers an outbox of a shape that is not allowed: ", valid.message()));
  }
  absl::StatusOr<Region> control_region = Region::Map(std::move(control), shape.control_bytes());
  if (!control_region.ok()) {
    return control_region.status();
  }
  if (absl::Status added = slabs.Add(0, shape.slab_bytes, std::move(slab), peer); !added.ok()) {
    return added;
  }
  PeerOutbox outbox(shape, *std::move(control_region), std::move(slabs));
  const Control::Header header = outbox.control().header;
  if (header.magic != kMagic || header.version != kProtocolVersion || header.epoch != epoch) {
    return absl::DataLossError(absl::StrCat(
        "the peer's control region does not belong to this connection: magic ",
        absl::Hex(header.magic), ", version ", header.version, ", epoch ", absl::Hex(header.epoch),
        "; expected ", absl::Hex(kMagic), ", ", kProtocolVersion, ", ", absl::Hex(epoch)));
  }
  return outbox;
}

const Receipt* PeerOutbox::receipts() const {
  return At<const Receipt>(Bytes(control_), shape_.receipts_offset());
}

const Slot* PeerOutbox::slots() const {
  return At<const Slot>(Bytes(control_), shape_.slots_offset());
}

void PeerOutbox::Prefault() const {
  control_.Prefault();
  slabs_.Prefault();
}

}  // namespace shoal
