#include "shoal/bench/ping_client.h"

#include <chrono>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "shoal/bench/ping.capnp.h"
#include "shoal/bench/ping_calls.h"
#include "shoal/bench/ping_vats.h"

namespace shoal {
namespace {

using RoundTrips = absl::StatusOr<std::vector<absl::Duration>>;

// Past first touches of memory and the growth of the library's tables.
constexpr int kWarmUpPings = 200;

absl::Status WrongAnswer(const std::string& address, uint64_t sequence) {
  return absl::DataLossError(
      absl::StrCat("the answer to ping ", sequence, " over ", address, " is not what was sent"));
}

RoundTrips TimePings(PingCall ping, const std::string& address, int count) {
  for (int i = 0; i < kWarmUpPings; ++i) {
    if (!ping(i)) {
      return WrongAnswer(address, i);
    }
  }
  std::vector<absl::Duration> round_trips;
  round_trips.reserve(count);
  for (int i = 0; i < count; ++i) {
    const auto sent = std::chrono::steady_clock::now();
    const bool right = ping(i);
    round_trips.push_back(absl::FromChrono(std::chrono::steady_clock::now() - sent));
    if (!right) {
      return WrongAnswer(address, i);
    }
  }
  return round_trips;
}

}  // namespace

RoundTrips PingInARow(const std::string& address, int count) {
  RoundTrips round_trips =
      WithServer(address, [&](schema::Ping::Client ping, kj::WaitScope& wait_scope) {
        return TimePings(PingCall{ping, wait_scope}, address, count);
      });
  if (!absl::IsUnavailable(round_trips.status())) {
    return round_trips;
  }
  return absl::UnavailableError(absl::StrCat(round_trips.status().message(),
                                             "; `ping --serve=", address, "` starts a server"));
}

}  // namespace shoal
