#include "shoal/bench/channel_work.h"

#include <string.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "shoal/bench/channel_messages.h"
#include "shoal/bench/usage.h"
#include "shoal/bench/used.h"
#include "shoal/bench/word_sum.h"
#include "shoal/transport/channel.h"

namespace shoal {
namespace {

using schema::Work;

absl::Status WrongAnswer() {
  return absl::DataLossError("the answer over a channel is not what it must be");
}

absl::Status Send(Channel& channel, Work work, uint64_t count) {
  OutgoingMessage message = channel.Claim();
  auto task = message.InitRoot<schema::Task>();
  task.setWork(work);
  task.setCount(count);
  return channel.Publish(std::move(message));
}

absl::Status Expect(Channel& channel, uint64_t sum) {
  absl::StatusOr<IncomingMessage> answer = channel.Receive();
  if (!answer.ok()) {
    return answer.status();
  }
  return answer->Root<schema::Answer>().getSum() == sum ? absl::OkStatus() : WrongAnswer();
}

OutgoingMessage BuildBlob(Channel& channel, uint64_t sequence, uint64_t bytes) {
  constexpr uint64_t kPointers = 2;  // the root's, and the data's
  OutgoingMessage message =
      channel.Claim(static_cast<uint32_t>(bytes / sizeof(uint64_t) + kPointers));
  auto data = message.InitRoot<schema::Blob>().initData(static_cast<unsigned>(bytes));
  memset(data.begin(), static_cast<int>(sequence & 0xff), bytes);
  return message;
}

OutgoingMessage BuildTick(Channel& channel, uint64_t sequence) {
  OutgoingMessage message = channel.Claim();
  WriteTick(sequence, ~sequence, message.InitRoot<schema::Tick>());
  return message;
}

absl::Status AskEmpty(Channel& channel) {
  OutgoingMessage message = channel.Claim();
  message.InitRoot<schema::Empty>();
  if (absl::Status published = channel.Publish(std::move(message)); !published.ok()) {
    return published;
  }
  absl::StatusOr<IncomingMessage> answer = channel.Receive();
  if (!answer.ok()) {
    return answer.status();
  }
  answer->Root<schema::Empty>();
  return absl::OkStatus();
}

absl::Status AskTick(Channel& channel, uint64_t sequence) {
  if (absl::Status published = channel.Publish(BuildTick(channel, sequence)); !published.ok()) {
    return published;
  }
  absl::StatusOr<IncomingMessage> answer = channel.Receive();
  if (!answer.ok()) {
    return answer.status();
  }
  const uint64_t sum = SumOf(answer->Root<schema::Tick>());
  return sum == TickSum(sequence, TickSum(sequence, ~sequence)) ? absl::OkStatus() : WrongAnswer();
}

absl::Status AskBlob(Channel& channel, uint64_t sequence, uint64_t bytes, uint64_t answer) {
  absl::Status published = channel.Publish(BuildBlob(channel, sequence, bytes));
  return published.ok() ? Expect(channel, answer) : published;
}

absl::Status Ask(Channel& channel, Work work, uint64_t sequence, uint64_t bytes) {
  switch (work) {
    case Work::EMPTY:
      return AskEmpty(channel);
    case Work::TICK:
      return AskTick(channel, sequence);
    case Work::WHOLE:
      return AskBlob(channel, sequence, bytes, FilledSum(sequence, bytes));
    case Work::HEADER:
      return AskBlob(channel, sequence, bytes, bytes);
    case Work::TICKS:
    case Work::BLOBS:
    case Work::USAGE:
      break;
  }
  return absl::InvalidArgumentError("this work is no round trip");
}

// Publishes `count` messages that `build(sequence)` makes.
template <typename Build>
absl::Status Stream(Channel& channel, uint64_t count, Build build) {
  for (uint64_t sequence = 0; sequence < count; ++sequence) {
    if (absl::Status published = channel.Publish(build(sequence)); !published.ok()) {
      return published;
    }
  }
  return absl::OkStatus();
}

// The sum over the first `count` sequences of `sum_of` each.
template <typename Sum>
uint64_t Total(uint64_t count, Sum sum_of) {
  uint64_t sum = 0;
  for (uint64_t sequence = 0; sequence < count; ++sequence) {
    sum += sum_of(sequence);
  }
  return sum;
}

absl::Status StreamTicks(Channel& channel, uint64_t count, uint64_t sum) {
  absl::Status streamed =
      Stream(channel, count, [&](uint64_t sequence) { return BuildTick(channel, sequence); });
  return streamed.ok() ? Expect(channel, sum) : streamed;
}

absl::Status StreamBlobs(Channel& channel, uint64_t count, uint64_t bytes, uint64_t sum) {
  absl::Status streamed = Stream(
      channel, count, [&](uint64_t sequence) { return BuildBlob(channel, sequence, bytes); });
  return streamed.ok() ? Expect(channel, sum) : streamed;
}

absl::StatusOr<Usage> UsageOfBoth(Channel& channel, UsageMeter& meter) {
  if (absl::Status sent = Send(channel, Work::USAGE, 0); !sent.ok()) {
    return sent;
  }
  absl::StatusOr<IncomingMessage> answer = channel.Receive();
  if (!answer.ok()) {
    return answer.status();
  }
  return meter.Read() + ReadUsage(answer->Root<schema::Used>());
}

// A stream of about a millisecond: long against its answer, and short enough that most are not
// interrupted.
uint64_t StreamLength(uint64_t bytes) {
  return std::clamp<uint64_t>((uint64_t{64} << 20) / bytes, 32, 20000);
}

absl::StatusOr<Samples> SampleStream(Channel& channel, Work work, uint64_t bytes,
                                     const SampleBudget& budget) {
  UsageMeter meter;
  const uint64_t count = StreamLength(bytes);
  const bool ticks = work == Work::TICKS;
  const uint64_t sum = Total(count, [&](uint64_t sequence) {
    return ticks ? TickSum(sequence, ~sequence) : FilledSum(sequence, bytes);
  });
  const auto stream = [&](uint64_t) {
    absl::Status sent = Send(channel, work, count);
    if (!sent.ok()) {
      return sent;
    }
    return ticks ? StreamTicks(channel, count, sum) : StreamBlobs(channel, count, bytes, sum);
  };
  const auto batch = [&](Samples& samples) {
    absl::Status taken = TakeSample(stream, budget, samples);
    samples.times.back() /= static_cast<int64_t>(count);
    samples.operations += count - 1;
    return taken;
  };
  return TakeBatches(budget, batch, [&] { return UsageOfBoth(channel, meter); });
}

// Once round both rings, whose pages are touched then.
absl::Status TouchRings(Channel& channel) {
  const uint32_t slots = ChannelOptions().slots;
  absl::Status asked = Send(channel, Work::EMPTY, slots);
  for (uint32_t i = 0; asked.ok() && i < slots; ++i) {
    asked = AskEmpty(channel);
  }
  return asked;
}

absl::StatusOr<Samples> SampleRoundTrips(Channel& channel, Work work, uint64_t bytes,
                                         const SampleBudget& budget) {
  if (absl::Status touched = TouchRings(channel); !touched.ok()) {
    return touched;
  }
  UsageMeter meter;
  const int count = BatchOf(bytes, budget);
  const auto ask = [&](uint64_t sequence) { return Ask(channel, work, sequence, bytes); };
  const auto batch = [&](Samples& samples) {
    absl::Status taken = Send(channel, work, count);
    for (int i = 0; taken.ok() && i < count; ++i) {
      taken = TakeSample(ask, budget, samples);
    }
    return taken;
  };
  return TakeBatches(budget, batch, [&] { return UsageOfBoth(channel, meter); });
}

}  // namespace

absl::StatusOr<Samples> SampleChannelWork(const std::string& address, Work work, uint64_t bytes,
                                          const SampleBudget& budget) {
  absl::StatusOr<std::unique_ptr<Channel>> channel = Connect(address);
  if (!channel.ok()) {
    return channel.status();
  }
  const bool streams = work == Work::TICKS || work == Work::BLOBS;
  return streams ? SampleStream(**channel, work, bytes, budget)
                 : SampleRoundTrips(**channel, work, bytes, budget);
}

absl::StatusOr<Samples> SampleChannelBuild(const std::string& address, uint64_t bytes,
                                           const SampleBudget& budget) {
  absl::StatusOr<std::unique_ptr<Channel>> channel = Connect(address);
  if (!channel.ok()) {
    return channel.status();
  }
  UsageMeter meter;
  const auto build = [&](uint64_t sequence) {
    BuildBlob(**channel, sequence, bytes);
    return absl::OkStatus();
  };
  const auto batch = [&](Samples& samples) {
    for (int i = 0; i < BatchOf(bytes, budget); ++i) {
      TakeSample(build, budget, samples).IgnoreError();
    }
    return absl::OkStatus();
  };
  return TakeBatches(budget, batch, [&] { return absl::StatusOr<Usage>(meter.Read()); });
}

absl::StatusOr<Samples> SampleChannelConnect(const std::string& address,
                                             const SampleBudget& budget) {
  UsageMeter meter;
  std::unique_ptr<Channel> channel;
  const auto connect = [&](uint64_t) {
    absl::StatusOr<std::unique_ptr<Channel>> connected = Connect(address);
    if (!connected.ok()) {
      return connected.status();
    }
    channel = *std::move(connected);
    absl::Status sent = Send(*channel, Work::EMPTY, 1);
    return sent.ok() ? AskEmpty(*channel) : sent;
  };
  const auto batch = [&](Samples& samples) {
    channel.reset();
    return TakeSample(connect, budget, samples);
  };
  // The channel that would be counted is another one at the end.
  return TakeBatches(budget, batch,
                     [&] { return absl::StatusOr<Usage>(WithoutChannels(meter.Read())); });
}

}  // namespace shoal
