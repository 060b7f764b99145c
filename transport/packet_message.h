// The Cap'n Proto message that is a packet's bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "capnp/serialize.h"

namespace shoal {

// A copy of what came, aligned as Cap'n Proto needs it. Like its readers, throws kj::Exception
// where the bytes are malformed: in the constructor, in Root() and in what that gives.
class PacketMessage {
 public:
  explicit PacketMessage(std::span<const std::byte> bytes)
      : words_((bytes.size() + 7) / 8), message_(Copy(bytes)) {}
  PacketMessage(const PacketMessage&) = delete;
  PacketMessage& operator=(const PacketMessage&) = delete;

  // Valid as long as this object.
  template <typename T>
  typename T::Reader Root() {
    return message_.getRoot<T>();
  }

 private:
  kj::ArrayPtr<const capnp::word> Copy(std::span<const std::byte> bytes) {
    if (!bytes.empty()) {  // memcpy() takes no null, whatever the size
      std::memcpy(words_.data(), bytes.data(), bytes.size());
    }
    return kj::arrayPtr(reinterpret_cast<const capnp::word*>(words_.data()), words_.size());
  }

  std::vector<uint64_t> words_;
  capnp::FlatArrayMessageReader message_;
};

}  // namespace shoal
