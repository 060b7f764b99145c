// The bytes that a fuzzer gives, read as a program; and how a program is written, for seeds.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace shoal::fuzz {

// Reads forward. Behind the end all bytes are zero, so that every input is a program and cutting
// one short changes only its end.
class Input {
 public:
  explicit Input(std::span<const uint8_t> bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }

  uint8_t Byte() { return static_cast<uint8_t>(Number(1)); }

  // The next `bytes` bytes, up to 8, little-endian.
  uint64_t Number(size_t bytes) {
    uint64_t number = 0;
    const std::span<const uint8_t> taken = Bytes(bytes);
    for (size_t i = 0; i < taken.size(); ++i) {
      number |= uint64_t{taken[i]} << (8 * i);
    }
    return number;
  }

  // As many as there are of the next `count`.
  std::span<const uint8_t> Bytes(size_t count) {
    const std::span<const uint8_t> taken = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

  // How many bytes follow, in 2 bytes and at most `most`, and then those.
  std::span<const uint8_t> Block(size_t most) { return Bytes(Number(2) % (most + 1)); }

 private:
  std::span<const uint8_t> rest_;
};

// What Input reads.
class Program {
 public:
  Program& Byte(uint8_t value) { return Number(value, 1); }

  Program& Number(uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) {
      bytes_.push_back(static_cast<uint8_t>(value >> (8 * i)));
    }
    return *this;
  }

  Program& Block(std::string_view text) {
    Number(text.size(), 2);
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    return *this;
  }

  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace shoal::fuzz
