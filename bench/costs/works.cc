#include "shoal/bench/costs/works.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "capnp/rpc.h"
#include "kj/async-io.h"
#include "kj/exception.h"
#include "shoal/bench/channel_messages.h"
#include "shoal/bench/ping_calls.h"
#include "shoal/bench/ping_server.h"
#include "shoal/rpc/channels.h"
#include "shoal/rpc/poller.h"
#include "shoal/rpc/vat.h"
#include "shoal/transport/channel.h"

namespace shoal {
namespace {

constexpr uint64_t kKiB = 1024;

absl::Status Wrong() { return absl::DataLossError("what arrived is not what was sent"); }

// What was published at the other end, which must be there.
absl::StatusOr<IncomingMessage> Take(Channel& channel) {
  absl::StatusOr<std::optional<IncomingMessage>> received = channel.TryReceive();
  if (!received.ok()) {
    return received.status();
  }
  return received->has_value() ? absl::StatusOr<IncomingMessage>(*std::move(*received)) : Wrong();
}

absl::Status PublishTick(Channel& channel) {
  OutgoingMessage message = channel.Claim();
  WriteTick(/*sequence=*/7, /*value=*/5, message.InitRoot<schema::Tick>());
  return channel.Publish(std::move(message));
}

absl::Status TakeTick(Channel& channel) {
  absl::StatusOr<IncomingMessage> received = Take(channel);
  if (!received.ok()) {
    return received.status();
  }
  return SumOf(received->Root<schema::Tick>()) == TickSum(7, 5) ? absl::OkStatus() : Wrong();
}

absl::Status SendTick(Channel& from, Channel& to) {
  absl::Status published = PublishTick(from);
  return published.ok() ? TakeTick(to) : published;
}

// Its bytes are neither written nor read, which would cost more than everything else.
absl::Status PublishBlob(Channel& channel, uint64_t bytes) {
  constexpr uint64_t kPointers = 2;  // the root's, and the data's
  OutgoingMessage message =
      channel.Claim(static_cast<uint32_t>(bytes / sizeof(uint64_t) + kPointers));
  message.InitRoot<schema::Blob>().initData(static_cast<unsigned>(bytes));
  return channel.Publish(std::move(message));
}

absl::Status TakeBlob(Channel& channel, uint64_t bytes) {
  absl::StatusOr<IncomingMessage> received = Take(channel);
  if (!received.ok()) {
    return received.status();
  }
  return received->Root<schema::Blob>().getData().size() == bytes ? absl::OkStatus() : Wrong();
}

absl::Status SendBlob(Channel& from, Channel& to, uint64_t bytes) {
  absl::Status published = PublishBlob(from, bytes);
  return published.ok() ? TakeBlob(to, bytes) : published;
}

template <typename Use>
absl::Status WithChannels(const ChannelOptions& options, Use use) {
  auto channels = ChannelPair(options);
  return channels.ok() ? use(*channels->first, *channels->second) : channels.status();
}

absl::Status MeasureOneWay(const Measure& measure) {
  return WithChannels({}, [&](Channel& left, Channel& right) {
    return measure([&] { return SendTick(left, right); });
  });
}

absl::Status MeasureRoundTrip(const Measure& measure) {
  return WithChannels({}, [&](Channel& left, Channel& right) {
    return measure([&] {
      absl::Status asked = SendTick(left, right);
      return asked.ok() ? SendTick(right, left) : asked;
    });
  });
}

absl::Status MeasureBlob(uint64_t bytes, const Measure& measure) {
  ChannelOptions options;
  options.slab_bytes = 4096 * kKiB;  // none of them asks for another
  return WithChannels(options, [&](Channel& left, Channel& right) {
    return measure([&] { return SendBlob(left, right, bytes); });
  });
}

// The reader holds a message that leaves no room for one of `bytes`.
absl::Status MeasureFragments(uint64_t bytes, const Measure& measure) {
  ChannelOptions options;
  options.slab_bytes = 64 * kKiB;
  options.max_slabs_bytes = options.slab_bytes;
  options.when_full = WhenFull::kSpill;
  return WithChannels(options, [&](Channel& left, Channel& right) {
    if (absl::Status published = PublishBlob(left, 60 * kKiB); !published.ok()) {
      return published;
    }
    const absl::StatusOr<IncomingMessage> held = Take(right);
    if (!held.ok()) {
      return held.status();
    }
    return measure([&] { return SendBlob(left, right, bytes); });
  });
}

// Two vats of one event loop on the two ends of a channel. `use(ping, wait_scope)` returns an
// absl::Status.
template <typename Use>
absl::Status WithVats(Use use) {
  using capnp::rpc::twoparty::Side;
  auto pair = ChannelPair(forRpc({}));
  if (!pair.ok()) {
    return pair.status();
  }
  try {
    kj::AsyncIoContext io = kj::setupAsyncIo();
    Poller poller(io.unixEventPort);
    Vat server_vat = newVat(poller, toOwn(std::move(pair->first)), Side::SERVER);
    Vat client_vat = newVat(poller, toOwn(std::move(pair->second)), Side::CLIENT);
    auto server = capnp::makeRpcServer(*server_vat.network, NewPingServer());
    auto client = capnp::makeRpcClient(*client_vat.network);
    auto ping = bootstrapServer(client).castAs<schema::Ping>();
    // What is called before the connection is there goes another way ever after.
    ping.whenResolved().wait(io.waitScope);
    return use(ping, io.waitScope);
  } catch (const kj::Exception& exception) {
    return absl::UnavailableError(absl::StrCat("a call between two vats of one thread failed: ",
                                               exception.getDescription().cStr()));
  }
}

absl::Status MeasurePing(const Measure& measure) {
  return WithVats([&](schema::Ping::Client& ping, kj::WaitScope& wait_scope) {
    PingCall call{ping, wait_scope};
    return measure([&] { return call(7) ? absl::OkStatus() : Wrong(); });
  });
}

absl::Status MeasurePingsInFlight(const Measure& measure) {
  constexpr size_t kCalls = 4;
  return WithVats([&](schema::Ping::Client& ping, kj::WaitScope& wait_scope) {
    auto pings = kj::heapArrayBuilder<schema::Ping::Client>(kCalls);
    for (size_t i = 0; i < kCalls; ++i) {
      pings.add(ping);
    }
    PingsInFlight calls{pings, wait_scope};
    return measure([&] { return calls(7) ? absl::OkStatus() : Wrong(); });
  });
}

absl::Status MeasureSink(uint64_t bytes, const Measure& measure) {
  return WithVats([&](schema::Ping::Client& ping, kj::WaitScope& wait_scope) {
    return measure([&] {
      auto request = ping.sinkRequest();
      request.initData(static_cast<unsigned>(bytes));
      return request.send().wait(wait_scope).getSum() == 0 ? absl::OkStatus() : Wrong();
    });
  });
}

template <typename MeasureBytes>
Work OfBytes(std::string name, MeasureBytes measure_bytes, uint64_t bytes) {
  return {std::move(name), [=](const Measure& measure) { return measure_bytes(bytes, measure); }};
}

}  // namespace

std::vector<Work> GuardedWorks() {
  return {{"one way, 64 B", MeasureOneWay},
          {"round trip, 64 B", MeasureRoundTrip},
          OfBytes("one way, 512 B in a block", MeasureBlob, 512),
          OfBytes("one way, 64 KiB in a block", MeasureBlob, 64 * kKiB),
          OfBytes("one way, 256 KiB in a block", MeasureBlob, 256 * kKiB),
          OfBytes("one way, 8 KiB in fragments", MeasureFragments, 8 * kKiB),
          {"ping", MeasurePing},
          {"4 pings in flight", MeasurePingsInFlight},
          OfBytes("sink of 64 KiB", MeasureSink, 64 * kKiB)};
}

}  // namespace shoal
