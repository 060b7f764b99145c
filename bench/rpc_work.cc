#include "shoal/bench/rpc_work.h"

#include <malloc.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "kj/exception.h"
#include "shoal/bench/memory.h"
#include "shoal/bench/ping_calls.h"
#include "shoal/bench/ping_vats.h"
#include "shoal/bench/usage.h"
#include "shoal/bench/used.h"

namespace shoal {
namespace {

// Samples `call`, which makes `calls` at a time that each carry `bytes`.
template <typename Call, typename ReadUsage>
absl::StatusOr<Samples> SampleCall(Call call, int calls, uint64_t bytes, const SampleBudget& budget,
                                   ReadUsage usage) {
  const int most = BatchOf(bytes, budget);
  const auto operate = [&](uint64_t sequence) {
    return call(sequence) ? absl::OkStatus()
                          : absl::DataLossError("the answer to a call is not what it must be");
  };
  const auto batch = [&](Samples& samples) {
    absl::Status taken;
    for (int i = 0; taken.ok() && i < std::max(most / calls, 1); ++i) {
      taken = TakeSample(operate, budget, samples);
      samples.times.back() /= calls;
      samples.operations += calls - 1;
    }
    return taken;
  };
  return TakeBatches(budget, batch, usage);
}

template <typename ReadUsage>
absl::StatusOr<Samples> SampleWork(schema::Ping::Client ping, kj::WaitScope& wait_scope,
                                   RpcWork work, const SampleBudget& budget, ReadUsage usage) {
  switch (work) {
    case RpcWork::kPing:
      return SampleCall(PingCall{ping, wait_scope}, 1, 16, budget, usage);
    case RpcWork::kInFlight: {
      auto pings = kj::heapArrayBuilder<schema::Ping::Client>(kCallsInFlight);
      for (int i = 0; i < kCallsInFlight; ++i) {
        pings.add(ping);
      }
      return SampleCall(PingsInFlight{pings.asPtr(), wait_scope}, kCallsInFlight, 16, budget,
                        usage);
    }
    case RpcWork::kSink:
      return SampleCall(SinkCall{ping, wait_scope}, 1, kSinkBytes, budget, usage);
    case RpcWork::kEcho:
      return SampleCall(EchoCall{ping, wait_scope}, 1, kSinkBytes, budget, usage);
    case RpcWork::kSum:
      return SampleCall(SumCall{ping, wait_scope}, 1, SumCall::kBytes, budget, usage);
    case RpcWork::kStream:
      return SampleCall(StreamCall{ping, wait_scope}, StreamCall::kChunks, StreamCall::kChunkBytes,
                        budget, usage);
  }
  return absl::InvalidArgumentError("there is no such work");
}

}  // namespace

absl::StatusOr<Samples> SampleCalls(const std::string& address, RpcWork work,
                                    const SampleBudget& budget) {
  return WithServer(address, [&](schema::Ping::Client ping, kj::WaitScope& wait_scope) {
    UsageMeter meter;
    return SampleWork(ping, wait_scope, work, budget, [&]() -> absl::StatusOr<Usage> {
      return meter.Read() + UsageOfServer(ping, wait_scope);
    });
  });
}

absl::StatusOr<Samples> SampleLoopbackCalls(RpcWork work, const SampleBudget& budget) {
  return WithLoopback([&](schema::Ping::Client ping, kj::WaitScope& wait_scope) {
    UsageMeter meter;
    return SampleWork(ping, wait_scope, work, budget,
                      [&]() -> absl::StatusOr<Usage> { return meter.Read(); });
  });
}

absl::StatusOr<Samples> SampleManyClients(const std::string& address, int clients,
                                          const SampleBudget& budget) {
  try {
    PingClients all(address, clients);
    UsageMeter meter;
    return SampleCall(PingsInFlight{all.pings(), all.wait_scope()}, clients, 16, budget,
                      [&]() -> absl::StatusOr<Usage> {
                        return meter.Read() + UsageOfServer(all.pings().front(), all.wait_scope());
                      });
  } catch (const kj::Exception& exception) {
    return NoAnswer(address, exception);
  }
}

absl::StatusOr<Samples> SampleRpcConnect(const std::string& address, const SampleBudget& budget) {
  try {
    UsageMeter meter;
    std::unique_ptr<PingClients> client;
    const auto connect = [&](uint64_t) {
      client = std::make_unique<PingClients>(address, 1);
      return absl::OkStatus();
    };
    const auto batch = [&](Samples& samples) {
      client.reset();
      return TakeSample(connect, budget, samples);
    };
    // The channel that would be counted is another one at the end.
    return TakeBatches(budget, batch,
                       [&] { return absl::StatusOr<Usage>(WithoutChannels(meter.Read())); });
  } catch (const kj::Exception& exception) {
    return NoAnswer(address, exception);
  }
}

absl::StatusOr<Samples> SampleMemory(const std::string& address, pid_t server_pid, int clients) {
  try {
    // What the first ones need, such as an event loop, and threads that have resolved an address
    // and are ending, on either side.
    PingClients first(address, clients);
    // What this process does not use now shall count when it is used again.
    malloc_trim(0);
    const auto before = HeldMemory(server_pid);
    PingClients others(address, clients);
    const auto after = HeldMemory(server_pid);
    if (!before.ok() || !after.ok()) {
      return before.ok() ? after.status() : before.status();
    }
    return Samples{.memory_bytes = (*after - *before) / clients};
  } catch (const kj::Exception& exception) {
    return NoAnswer(address, exception);
  }
}

}  // namespace shoal
