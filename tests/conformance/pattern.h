// Bytes that follow from a number, so that both ends know what must come.
#pragma once

#include <cstddef>
#include <cstdint>

#include "capnp/blob.h"

namespace shoal::conformance {

inline uint8_t ByteAt(uint64_t number, size_t index) {
  return static_cast<uint8_t>((number + 1) * 59 + index * 7 + (index >> 8));
}

inline void Fill(capnp::Data::Builder data, uint64_t number) {
  for (size_t i = 0; i < data.size(); ++i) {
    data[i] = ByteAt(number, i);
  }
}

inline bool Follows(capnp::Data::Reader data, uint64_t number) {
  uint8_t wrong = 0;
  for (size_t i = 0; i < data.size(); ++i) {
    wrong |= data[i] ^ ByteAt(number, i);
  }
  return wrong == 0;
}

}  // namespace shoal::conformance
