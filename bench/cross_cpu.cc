#include "shoal/bench/cross_cpu.h"

#include <string.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "shoal/bench/cpus.h"
#include "shoal/bench/median.h"
#include "shoal/bench/word_sum.h"

namespace shoal {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kHandoversInABatch = 100;
constexpr uint64_t kFailed = ~uint64_t{0};

// Two threads take turns. Each line has one writer; 128 bytes apart, as CPUs fetch lines in pairs.
struct Turns {
  alignas(128) std::atomic<uint64_t> there = 0;  // the caller's latest turn
  alignas(128) std::atomic<uint64_t> back = 0;   // the latest that was answered, or kFailed
};

// Far more than while the other side is on its CPU.
constexpr int kLooksBeforeYielding = 1'000'000;

// Spins until `turn` is there. False when the other side has failed.
bool Await(const std::atomic<uint64_t>& line, uint64_t turn) {
  uint64_t seen = line.load(std::memory_order_acquire);
  for (int looks = 0; seen < turn; ++looks) {
    if (looks > kLooksBeforeYielding) {
      std::this_thread::yield();  // the CPU may be what the other side waits for
    }
    seen = line.load(std::memory_order_acquire);
  }
  return seen != kFailed;
}

// Runs `call` here, pinned to `near`, and beside it a thread on `far` that does `answer(turn)` for
// each turn of `turns` and then says so.
template <typename Answer, typename Call>
absl::Status InTurns(int near, int far, uint64_t count, Turns& turns, Answer answer, Call call) {
  absl::Status answered;
  std::thread answerer([&] {
    answered = PinTo(far);
    if (!answered.ok()) {
      turns.back.store(kFailed, std::memory_order_release);
      return;
    }
    for (uint64_t turn = 1; turn <= count && Await(turns.there, turn); ++turn) {
      answer();
      turns.back.store(turn, std::memory_order_release);
    }
  });
  const absl::StatusOr<bool> called = RunOn(near, [&]() -> absl::StatusOr<bool> { return call(); });
  if (!called.ok()) {
    turns.there.store(kFailed, std::memory_order_release);
  }
  answerer.join();
  return called.ok() ? answered : called.status();
}

}  // namespace

absl::StatusOr<absl::Duration> TimeHandover(int near, int far, int batches) {
  if (near == far) {
    return absl::ZeroDuration();
  }
  Turns turns;
  std::vector<absl::Duration> handovers;
  const auto call = [&] {
    for (uint64_t turn = 0; turn < batches * kHandoversInABatch;) {
      const auto start = Clock::now();
      for (uint64_t i = 0; i < kHandoversInABatch; ++i) {
        turns.there.store(++turn, std::memory_order_release);
        if (!Await(turns.back, turn)) {
          return false;
        }
      }
      handovers.push_back(absl::FromChrono(Clock::now() - start) /
                          static_cast<double>(kHandoversInABatch));
    }
    return true;
  };
  const absl::Status status = InTurns(
      near, far, batches * kHandoversInABatch, turns, [] {}, call);
  if (!status.ok()) {
    return status;
  }
  return Median(std::move(handovers));
}

absl::StatusOr<absl::Duration> TimeCrossRead(int writer, int reader, size_t bytes, int count) {
  if (writer == reader) {
    return absl::ZeroDuration();
  }
  Turns turns;
  std::vector<char> memory(bytes);
  std::vector<absl::Duration> reads;
  uint64_t sum = 0;
  const auto read = [&] {
    const auto start = Clock::now();
    sum += WordSum(memory.data(), bytes);
    reads.push_back(absl::FromChrono(Clock::now() - start));
  };
  const auto write = [&] {
    for (uint64_t turn = 1; turn <= static_cast<uint64_t>(count); ++turn) {
      memset(memory.data(), static_cast<int>(turn & 0xff), bytes);
      turns.there.store(turn, std::memory_order_release);
      if (!Await(turns.back, turn)) {
        return false;
      }
    }
    return true;
  };
  const absl::Status status = InTurns(writer, reader, count, turns, read, write);
  if (!status.ok()) {
    return status;
  }
  uint64_t written = 0;
  for (int turn = 1; turn <= count; ++turn) {
    written += FilledSum(turn, bytes);
  }
  if (sum != written) {
    return absl::DataLossError("what one CPU read is not what the other wrote");
  }
  return Median(std::move(reads));
}

absl::StatusOr<absl::Duration> TimeCrossStream(int writer, int reader, size_t bytes, int count) {
  if (writer == reader) {
    return absl::ZeroDuration();
  }
  constexpr size_t kMemory = size_t{4} << 20;
  const uint64_t buffers = std::max<uint64_t>(kMemory / bytes, 2);
  std::vector<char> memory(buffers * bytes);
  const auto buffer = [&](uint64_t turn) { return memory.data() + turn % buffers * bytes; };
  // Once round more than is timed, to touch all.
  const uint64_t last = buffers + static_cast<uint64_t>(count);
  Turns turns;
  uint64_t sum = 0;
  uint64_t read_turn = 0;
  const auto read = [&] { sum += WordSum(buffer(++read_turn), bytes); };
  absl::Duration time;
  const auto write = [&] {
    auto begin = Clock::now();
    for (uint64_t turn = 1; turn <= last; ++turn) {
      if (turn > buffers && !Await(turns.back, turn - buffers)) {
        return false;
      }
      if (turn == buffers + 1) {
        begin = Clock::now();
      }
      memset(buffer(turn), static_cast<int>(turn & 0xff), bytes);
      turns.there.store(turn, std::memory_order_release);
    }
    const bool done = Await(turns.back, last);
    time = absl::FromChrono(Clock::now() - begin) / count;
    return done;
  };
  const absl::Status status = InTurns(writer, reader, last, turns, read, write);
  if (!status.ok()) {
    return status;
  }
  uint64_t written = 0;
  for (uint64_t turn = 1; turn <= last; ++turn) {
    written += FilledSum(turn, bytes);
  }
  if (sum != written) {
    return absl::DataLossError("what one CPU read is not what the other wrote");
  }
  return time;
}

}  // namespace shoal
