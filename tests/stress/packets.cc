#include "shoal/tests/stress/packets.h"

#include <cstring>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace shoal::stress {
namespace {

constexpr size_t kMaxPieces = 4;

// The first word of a piece; each further one is one more. An odd factor, so that no two differ by
// little.
uint64_t FirstWord(uint64_t number, size_t piece) {
  return (number * kMaxPieces + piece + 1) * 0x9e3779b97f4a7c15;
}

absl::Status Wrong(const char* what, uint64_t number, size_t piece, size_t word, uint64_t expected,
                   uint64_t came) {
  return absl::DataLossError(absl::StrCat("message ", number, ", piece ", piece, ", ", what, " ",
                                          word, ": expected ", expected, ", came ", came));
}

uint64_t WordAt(const uint8_t* bytes, size_t word) {
  uint64_t value;
  std::memcpy(&value, bytes + word * sizeof(value), sizeof(value));
  return value;
}

absl::Status VerifyPiece(capnp::Data::Reader data, uint64_t number, size_t piece, size_t bytes) {
  if (data.size() != bytes) {
    return Wrong("size", number, piece, 0, bytes, data.size());
  }
  const uint64_t first = FirstWord(number, piece);
  const size_t words = bytes / sizeof(uint64_t);
  uint64_t difference = 0;
  for (size_t i = 0; i < words; ++i) {
    difference |= WordAt(data.begin(), i) ^ (first + i);
  }
  for (size_t i = 0; difference != 0 && i < words; ++i) {
    if (WordAt(data.begin(), i) != first + i) {
      return Wrong("word", number, piece, i, first + i, WordAt(data.begin(), i));
    }
  }
  for (size_t i = words * sizeof(uint64_t); i < bytes; ++i) {
    if (data[i] != static_cast<uint8_t>(first + i)) {
      return Wrong("byte", number, piece, i, static_cast<uint8_t>(first + i), data[i]);
    }
  }
  return absl::OkStatus();
}

}  // namespace

size_t Plan::bytes() const { return std::accumulate(pieces.begin(), pieces.end(), size_t{0}); }

const Plan& Plans::Next() {
  plan_.number = next_number_++;
  const size_t bytes = random_() % (max_bytes_ + 1);
  const size_t count = random_() % kMaxPieces + 1;
  plan_.pieces.assign(count, bytes / count);
  plan_.pieces.back() += bytes % count;
  return plan_;
}

void Build(Packet::Builder packet, const Plan& plan) {
  packet.setNumber(plan.number);
  auto pieces = packet.initPieces(static_cast<capnp::uint>(plan.pieces.size()));
  for (size_t piece = 0; piece < plan.pieces.size(); ++piece) {
    auto data =
        pieces.init(static_cast<capnp::uint>(piece), static_cast<capnp::uint>(plan.pieces[piece]));
    const uint64_t first = FirstWord(plan.number, piece);
    const size_t words = data.size() / sizeof(uint64_t);
    for (size_t i = 0; i < words; ++i) {
      const uint64_t word = first + i;
      std::memcpy(data.begin() + i * sizeof(word), &word, sizeof(word));
    }
    for (size_t i = words * sizeof(uint64_t); i < data.size(); ++i) {
      data[i] = static_cast<uint8_t>(first + i);
    }
  }
}

absl::Status Verify(Packet::Reader packet, const Plan& plan) {
  if (packet.getNumber() != plan.number) {
    return absl::DataLossError(
        absl::StrCat("message ", packet.getNumber(), " came in place of ", plan.number));
  }
  const auto pieces = packet.getPieces();
  if (pieces.size() != plan.pieces.size()) {
    return Wrong("pieces", plan.number, 0, 0, plan.pieces.size(), pieces.size());
  }
  for (uint32_t piece = 0; piece < pieces.size(); ++piece) {
    absl::Status verified = VerifyPiece(pieces[piece], plan.number, piece, plan.pieces[piece]);
    if (!verified.ok()) {
      return verified;
    }
  }
  return absl::OkStatus();
}

}  // namespace shoal::stress
