#include "shoal/transport/packet_message.h"

#include <cstddef>
#include <span>
#include <vector>

#include "capnp/message.h"
#include "gtest/gtest.h"
#include "kj/exception.h"
#include "shoal/transport/test_data.capnp.h"

namespace shoal {
namespace {

std::vector<std::byte> BytesOf(uint64_t number) {
  capnp::MallocMessageBuilder message;
  message.initRoot<test::Blob>().setNumber(number);
  const auto words = capnp::messageToFlatArray(message);
  const auto* bytes = reinterpret_cast<const std::byte*>(words.begin());
  return {bytes, bytes + words.asBytes().size()};
}

TEST(PacketMessage, ReadsBytesAtAnyAlignment) {
  const std::vector<std::byte> bytes = BytesOf(42);
  for (size_t shift = 0; shift < sizeof(capnp::word); ++shift) {
    std::vector<std::byte> shifted(shift);
    shifted.insert(shifted.end(), bytes.begin(), bytes.end());
    const std::span<const std::byte> from = std::span<const std::byte>(shifted).subspan(shift);
    PacketMessage message(from);
    EXPECT_EQ(message.Root<test::Blob>().getNumber(), 42) << shift;
  }
}

TEST(PacketMessage, ThrowsWhereBytesAreMissing) {
  const std::vector<std::byte> bytes = BytesOf(42);
  for (size_t size = 0; size + sizeof(capnp::word) <= bytes.size(); ++size) {
    EXPECT_THROW(PacketMessage(std::span(bytes).first(size)).Root<test::Blob>(), kj::Exception)
        << size;
  }
}

}  // namespace
}  // namespace shoal
