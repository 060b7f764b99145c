#include "shoal/bench/call_times.h"

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "kj/async.h"
#include "shoal/bench/median.h"
#include "shoal/bench/ping.capnp.h"
#include "shoal/bench/ping_calls.h"
#include "shoal/bench/ping_vats.h"

namespace shoal {
namespace {

// Past first touches of memory and the growth of tables. A mebibyte has to be touched in each block
// that messages rotate through.
constexpr int kWarmUpPings = 200;
constexpr int kWarmUpSinks = 20;

template <typename Call>
absl::StatusOr<absl::Duration> TimeCall(Call call, int warm_up, int count) {
  std::vector<absl::Duration> times;
  times.reserve(count);
  for (int i = -warm_up; i < count; ++i) {
    const auto sent = std::chrono::steady_clock::now();
    const bool right = call(static_cast<uint64_t>(i));
    const auto answered = std::chrono::steady_clock::now();
    if (!right) {
      return absl::DataLossError("the answer to a call is not what it must be");
    }
    if (i >= 0) {
      times.push_back(absl::FromChrono(answered - sent));
    }
  }
  return Median(std::move(times));
}

absl::StatusOr<CallTimes> TimeCalls(schema::Ping::Client ping, kj::WaitScope& wait_scope,
                                    CallCounts counts) {
  const auto ping_time = TimeCall(PingCall{ping, wait_scope}, kWarmUpPings, counts.pings);
  if (!ping_time.ok()) {
    return ping_time.status();
  }
  const auto sink_time = TimeCall(SinkCall{ping, wait_scope}, kWarmUpSinks, counts.sinks);
  if (!sink_time.ok()) {
    return sink_time.status();
  }
  return CallTimes{*ping_time, *sink_time};
}

}  // namespace

absl::StatusOr<CallTimes> TimeCallsTo(const std::string& address, CallCounts counts) {
  return WithServer(address, [&](schema::Ping::Client ping, kj::WaitScope& wait_scope) {
    return TimeCalls(ping, wait_scope, counts);
  });
}

absl::StatusOr<CallTimes> TimeLoopbackCalls(CallCounts counts) {
  return WithLoopback([&](schema::Ping::Client ping, kj::WaitScope& wait_scope) {
    return TimeCalls(ping, wait_scope, counts);
  });
}

}  // namespace shoal
