#include "shoal/bench/slot_stream.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <thread>

#include "absl/status/status.h"
#include "shoal/bench/cpus.h"
#include "shoal/transport/slot_ring.h"
#include "shoal/transport/spin_budget.h"

namespace shoal {
namespace {

using Clock = std::chrono::steady_clock;
using Payload = std::array<uint64_t, kSlotStreamWords>;

constexpr uint64_t kSlots = 256;
// How often the reader says how far it is: often enough that the writer never has to wait for that,
// seldom enough that it costs nothing.
constexpr uint64_t kSlotsBetweenNews = kSlots / 8;

Payload PayloadOf(uint64_t sequence) {
  Payload payload;
  for (uint64_t i = 0; i < payload.size(); ++i) {
    payload[i] = sequence + i;
  }
  return payload;
}

uint64_t SumOf(const Payload& payload) {
  uint64_t sum = 0;
  for (const uint64_t word : payload) {
    sum += word;
  }
  return sum;
}

// The sum of all words of the first `count` payloads.
uint64_t SumOfFirst(uint64_t count) {
  constexpr uint64_t kWords = kSlotStreamWords;
  return kWords * (count * (count - 1) / 2) + count * (kWords * (kWords - 1) / 2);
}

// The transport's ring.
class SlotRing {
 public:
  void Write(const Payload& payload) { writer_.Publish(SlotKind::kMessage, payload); }

  Payload Read() {
    while (!reader_.Next()) {
      CpuRelax();
    }
    Payload payload;
    reader_.ReadPayload(0, payload);
    reader_.Advance(1);
    return payload;
  }

 private:
  alignas(128) std::array<Slot, kSlots> slots_ = {};
  alignas(128) SlotWriter writer_{slots_.data(), kSlots};
  alignas(128) SlotReader reader_{slots_.data(), kSlots};
};

// The least that a ring can be.
class BareRing {
 public:
  void Write(const Payload& payload) {
    Line& line = lines_[written_ % kSlots];
    line.payload = payload;
    line.sequence.store(++written_, std::memory_order_release);
  }

  Payload Read() {
    const Line& line = lines_[read_ % kSlots];
    ++read_;
    while (line.sequence.load(std::memory_order_acquire) != read_) {
      CpuRelax();
    }
    return line.payload;
  }

 private:
  struct alignas(64) Line {
    std::atomic<uint64_t> sequence = 0;
    Payload payload = {};
  };

  std::array<Line, kSlots> lines_;
  alignas(128) uint64_t written_ = 0;
  alignas(128) uint64_t read_ = 0;
};

// How many slots were read, as the reader says.
struct alignas(128) News {
  std::atomic<uint64_t> consumed = 0;
};

template <typename Ring>
void Write(Ring& ring, const News& news, uint64_t count) {
  uint64_t room = kSlots;
  for (uint64_t sequence = 0; sequence < count; ++sequence) {
    while (sequence == room) {
      room = news.consumed.load(std::memory_order_acquire) + kSlots;
    }
    ring.Write(PayloadOf(sequence));
  }
}

// Returns the sum of all words.
template <typename Ring>
uint64_t Read(Ring& ring, News& news, uint64_t count) {
  uint64_t sum = 0;
  for (uint64_t sequence = 1; sequence <= count; ++sequence) {
    sum += SumOf(ring.Read());
    if (sequence % kSlotsBetweenNews == 0) {
      news.consumed.store(sequence, std::memory_order_release);
    }
  }
  return sum;
}

template <typename Ring>
absl::StatusOr<absl::Duration> TimeStream(int writer, int reader, uint64_t count) {
  if (writer == reader) {
    return absl::ZeroDuration();
  }
  const auto ring = std::make_unique<Ring>();
  News news;
  std::promise<absl::Status> pinned;
  uint64_t sum = 0;
  absl::Duration time;
  std::thread reading([&] {
    const absl::Status status = PinTo(reader);
    pinned.set_value(status);
    if (status.ok()) {
      sum = Read(*ring, news, count);
    }
  });
  absl::Status status = pinned.get_future().get();
  if (status.ok()) {
    std::thread writing([&] {
      status = PinTo(writer);
      // The reader waits for all slots, from wherever they come.
      const auto begin = Clock::now();
      Write(*ring, news, count);
      reading.join();
      time = absl::FromChrono(Clock::now() - begin) / static_cast<double>(count);
    });
    writing.join();
  } else {
    reading.join();
  }
  if (!status.ok()) {
    return status;
  }
  if (sum != SumOfFirst(count)) {
    return absl::DataLossError("what was read from a ring of slots is not what was written");
  }
  return time;
}

}  // namespace

absl::StatusOr<absl::Duration> TimeSlotStream(int writer, int reader, int count) {
  return TimeStream<SlotRing>(writer, reader, static_cast<uint64_t>(count));
}

absl::StatusOr<absl::Duration> TimeBareSlotStream(int writer, int reader, int count) {
  return TimeStream<BareRing>(writer, reader, static_cast<uint64_t>(count));
}

}  // namespace shoal
