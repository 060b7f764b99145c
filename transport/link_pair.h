// The two ends of a connection in one process, joined without a handshake, for tests.
//
// Each end may also play a hostile peer: all that the peer reads lies in `own` of its link, where a
// test stores what it likes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "capnp/message.h"
#include "shoal/transport/link.h"
#include "shoal/transport/message.h"
#include "shoal/transport/outbox.h"
#include "shoal/transport/receiver.h"

namespace shoal {

// So small that a test reaches each limit soon.
inline constexpr OutboxShape kSmallShape = {
    .slots = 16, .receipts = 16, .slab_bytes = size_t{64} << 10};
inline constexpr uint32_t kSmallSlabWords = (64 << 10) / sizeof(capnp::word);
inline constexpr uint32_t kMaxFds = 4;

struct LinkPair {
  std::shared_ptr<Link> left;   // knows its peer as shm:right
  std::shared_ptr<Link> right;  // knows its peer as shm:left
};

// Both outboxes have this shape, a message up to kMaxFds descriptors; slabs are added up to
// `max_slabs_bytes` in all.
LinkPair MakeLinkPair(const OutboxShape& shape = kSmallShape, uint64_t max_slabs_bytes = 0);

// Where the first slab of the link's own outbox begins.
capnp::word* FirstSlab(Link& link);

// Makes the message a test::Blob with `number` and so many bytes of data, which differ from byte to
// byte and from number to number.
void BuildBlob(capnp::MessageBuilder& message, uint64_t number, size_t data_bytes);

// Expects what BuildBlob() built.
void ExpectBlob(capnp::MessageReader& message, uint64_t number, size_t data_bytes);

// The next message, or nothing. An error fails the test.
std::optional<IncomingMessage> TakeFrom(Receiver& receiver);

// Expects the next message to be what BuildBlob() built, and lets it go.
void ExpectNextBlob(Receiver& receiver, uint64_t number, size_t data_bytes);

}  // namespace shoal
