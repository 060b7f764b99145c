#include "shoal/bench/channel_peer.h"

#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "shoal/bench/channel_messages.h"
#include "shoal/bench/usage.h"
#include "shoal/bench/used.h"
#include "shoal/transport/channel.h"

namespace shoal {
namespace {

absl::Status PublishAnswer(Channel& channel, uint64_t sum) {
  OutgoingMessage answer = channel.Claim();
  answer.InitRoot<schema::Answer>().setSum(sum);
  return channel.Publish(std::move(answer));
}

absl::Status AnswerEmpty(Channel& channel, IncomingMessage& received) {
  received.Root<schema::Empty>();
  OutgoingMessage answer = channel.Claim();
  answer.InitRoot<schema::Empty>();
  return channel.Publish(std::move(answer));
}

absl::Status AnswerTick(Channel& channel, IncomingMessage& received) {
  const auto tick = received.Root<schema::Tick>();
  OutgoingMessage answer = channel.Claim();
  WriteTick(tick.getSequence(), SumOf(tick), answer.InitRoot<schema::Tick>());
  return channel.Publish(std::move(answer));
}

absl::Status AnswerWhole(Channel& channel, IncomingMessage& received) {
  return PublishAnswer(channel, SumOf(received.Root<schema::Blob>()));
}

absl::Status AnswerHeader(Channel& channel, IncomingMessage& received) {
  return PublishAnswer(channel, received.Root<schema::Blob>().getData().size());
}

// Answers each of `count` messages with `answer`.
template <typename Answer>
absl::Status AnswerEach(Channel& channel, uint64_t count, Answer answer) {
  for (uint64_t i = 0; i < count; ++i) {
    absl::StatusOr<IncomingMessage> received = channel.Receive();
    if (!received.ok()) {
      return received.status();
    }
    if (absl::Status answered = answer(channel, *received); !answered.ok()) {
      return answered;
    }
  }
  return absl::OkStatus();
}

// Answers `count` messages once, with the sum of what `sum_of` says of each.
template <typename Message, typename Sum>
absl::Status AnswerStream(Channel& channel, uint64_t count, Sum sum_of) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < count; ++i) {
    absl::StatusOr<IncomingMessage> received = channel.Receive();
    if (!received.ok()) {
      return received.status();
    }
    sum += sum_of(received->Root<Message>());
  }
  return PublishAnswer(channel, sum);
}

absl::Status AnswerUsage(Channel& channel, UsageMeter& meter) {
  OutgoingMessage answer = channel.Claim();
  WriteUsage(meter.Read(), answer.InitRoot<schema::Used>());
  return channel.Publish(std::move(answer));
}

absl::Status Do(schema::Task::Reader task, Channel& channel, UsageMeter& meter) {
  const uint64_t count = task.getCount();
  switch (task.getWork()) {
    case schema::Work::EMPTY:
      return AnswerEach(channel, count, AnswerEmpty);
    case schema::Work::TICK:
      return AnswerEach(channel, count, AnswerTick);
    case schema::Work::WHOLE:
      return AnswerEach(channel, count, AnswerWhole);
    case schema::Work::HEADER:
      return AnswerEach(channel, count, AnswerHeader);
    case schema::Work::TICKS:
      return AnswerStream<schema::Tick>(channel, count,
                                        [](schema::Tick::Reader tick) { return SumOf(tick); });
    case schema::Work::BLOBS:
      return AnswerStream<schema::Blob>(channel, count,
                                        [](schema::Blob::Reader blob) { return SumOf(blob); });
    case schema::Work::USAGE:
      return AnswerUsage(channel, meter);
  }
  return absl::InvalidArgumentError("the client wants work that this server does not know");
}

// Until the client is gone, or something fails.
void Serve(Channel& channel, UsageMeter& meter) {
  absl::Status done;
  while (done.ok()) {
    absl::StatusOr<IncomingMessage> task = channel.Receive();
    done = task.ok() ? Do(task->Root<schema::Task>(), channel, meter) : task.status();
  }
  if (!absl::IsUnavailable(done)) {
    std::cerr << "the channel to the client failed: " << done << "\n";
  }
}

}  // namespace

absl::Status ServeChannelWork(const std::string& address) {
  signal(SIGTERM, [](int) { _exit(0); });
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(address);
  if (!listener.ok()) {
    return listener.status();
  }
  std::cout << "serving " << (*listener)->address() << std::endl;
  UsageMeter meter;
  while (true) {
    absl::StatusOr<std::unique_ptr<Channel>> channel = (*listener)->Accept();
    if (!channel.ok()) {
      return channel.status();
    }
    Serve(**channel, meter);
  }
}

}  // namespace shoal
