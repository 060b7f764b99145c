#include "shoal/tests/fuzz/reading.h"

#include <cstring>

#include "capnp/any.h"
#include "kj/exception.h"
#include "shoal/tests/fuzz/require.h"
#include "shoal/transport/test_data.capnp.h"

namespace shoal::fuzz {
namespace {

uint64_t Add(uint64_t sum, uint64_t word) { return (sum ^ word) * 0x100000001b3; }  // FNV-1a

void FollowPointers(IncomingMessage& message) {
  const auto root = message.reader().getRoot<capnp::AnyPointer>();
  static_cast<void>(root.targetSize());
  for (const auto blob : message.Root<test::Blobs>().getBlobs()) {
    static_cast<void>(blob.getData().size());
  }
}

}  // namespace

uint64_t ReadAll(IncomingMessage& message) {
  static_cast<void>(kj::runCatchingExceptions([&] { FollowPointers(message); }));
  Require(message.SizeInWords() <= kMaxFuzzedWords, "no message is larger than the limit");
  uint64_t sum = 0xcbf29ce484222325;
  uint64_t left = message.SizeInWords();
  for (capnp::uint id = 0; left > 0; ++id) {
    const kj::ArrayPtr<const capnp::word> segment = message.reader().getSegment(id);
    for (const capnp::word& word : segment) {
      uint64_t value;
      std::memcpy(&value, &word, sizeof(value));
      sum = Add(sum, value);
    }
    sum = Add(sum, segment.size());
    left -= segment.size();
  }
  return sum;
}

void AlmostSleep(Channel& channel) {
  const bool armed = channel.ArmDoorbell();
  Require(!armed || !channel.Readable(), "nobody sleeps who has something to receive");
  channel.DrainDoorbell();
  channel.DisarmDoorbell();
}

}  // namespace shoal::fuzz
