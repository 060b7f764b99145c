// What the pieces of a message's way cost: both ends of a channel in one thread, so nothing waits.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <utility>

#include "benchmark/benchmark.h"
#include "capnp/message.h"
#include "shoal/bench/allocations_counter.h"
#include "shoal/bench/channel_messages.h"
#include "shoal/transport/channel.h"

namespace shoal {
namespace {

struct Ends {
  std::unique_ptr<Channel> left;
  std::unique_ptr<Channel> right;
};

// Where they cannot be made nothing can be measured.
Ends NewEnds() {
  auto pair = ChannelPair();
  if (!pair.ok()) {
    std::cerr << "pieces: " << pair.status() << "\n";
    std::exit(1);
  }
  return {std::move(pair->first), std::move(pair->second)};
}

// The argument of a benchmark is the size of a message's first segment in words: what fits a slot,
// a small block, 64 KiB.
void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("words")->Arg(31)->Arg(64)->Arg(8192);
}

OutgoingMessage BuildData(Channel& channel, uint32_t words) {
  constexpr uint32_t kPointers = 2;  // the root's, and the data's
  OutgoingMessage message = channel.Claim(words);
  message.InitRoot<schema::Blob>().initData((words - kPointers) * sizeof(uint64_t));
  return message;
}

void ClaimAndDropAMessage(benchmark::State& state) {
  const Ends ends = NewEnds();
  AllocationsCounter allocations(state);
  for (auto _ : state) {
    OutgoingMessage message = ends.left->Claim(static_cast<uint32_t>(state.range(0)));
    benchmark::DoNotOptimize(message);
  }
}
BENCHMARK(ClaimAndDropAMessage)->Apply(Sizes);

void PublishAndReceive(benchmark::State& state) {
  const Ends ends = NewEnds();
  AllocationsCounter allocations(state);
  for (auto _ : state) {
    const absl::Status published =
        ends.left->Publish(BuildData(*ends.left, static_cast<uint32_t>(state.range(0))));
    auto received = ends.right->TryReceive();
    if (!published.ok() || !received.ok() || !received->has_value()) {
      state.SkipWithError("the message did not arrive");
      break;
    }
  }
}
BENCHMARK(PublishAndReceive)->Apply(Sizes);

void LookForAMessageThatIsNotThere(benchmark::State& state) {
  const Ends ends = NewEnds();
  for (auto _ : state) {
    auto received = ends.right->TryReceive();
    benchmark::DoNotOptimize(received);
  }
}
BENCHMARK(LookForAMessageThatIsNotThere);

// A ring's worth of messages in turn, so that each side's time is seen alone.
constexpr int kBatch = 64;

void Publish(benchmark::State& state) {
  const Ends ends = NewEnds();
  while (state.KeepRunningBatch(kBatch)) {
    for (int i = 0; i < kBatch; ++i) {
      OutgoingMessage message = ends.left->Claim();
      WriteTick(7, 5, message.InitRoot<schema::Tick>());
      benchmark::DoNotOptimize(ends.left->Publish(std::move(message)));
    }
    state.PauseTiming();
    for (int i = 0; i < kBatch; ++i) {
      benchmark::DoNotOptimize(ends.right->TryReceive());
    }
    state.ResumeTiming();
  }
}
BENCHMARK(Publish);

void Receive(benchmark::State& state) {
  const Ends ends = NewEnds();
  while (state.KeepRunningBatch(kBatch)) {
    state.PauseTiming();
    for (int i = 0; i < kBatch; ++i) {
      OutgoingMessage message = ends.left->Claim();
      WriteTick(7, 5, message.InitRoot<schema::Tick>());
      benchmark::DoNotOptimize(ends.left->Publish(std::move(message)));
    }
    state.ResumeTiming();
    for (int i = 0; i < kBatch; ++i) {
      auto received = ends.right->TryReceive();
      benchmark::DoNotOptimize(SumOf((*received)->Root<schema::Tick>()));
    }
  }
}
BENCHMARK(Receive);

// Cap'n Proto's own part of all the above: a Tick of 64 bytes.

void BuildATick(benchmark::State& state) {
  AllocationsCounter allocations(state);
  capnp::word memory[32] = {};
  for (auto _ : state) {
    capnp::MallocMessageBuilder builder(kj::arrayPtr(memory, 32));
    WriteTick(7, 5, builder.initRoot<schema::Tick>());
    benchmark::DoNotOptimize(memory);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(BuildATick);

void ReadATick(benchmark::State& state) {
  AllocationsCounter allocations(state);
  capnp::MallocMessageBuilder builder;
  WriteTick(7, 5, builder.initRoot<schema::Tick>());
  const auto segments = builder.getSegmentsForOutput();
  for (auto _ : state) {
    capnp::SegmentArrayMessageReader reader(segments);
    benchmark::DoNotOptimize(SumOf(reader.getRoot<schema::Tick>()));
  }
}
BENCHMARK(ReadATick);

}  // namespace
}  // namespace shoal
