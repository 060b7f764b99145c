#include "shoal/bench/ping_client.h"

#include <chrono>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kj/exception.h"
#include "shoal/bench/ping.capnp.h"
#include "shoal/rpc/client.h"

namespace shoal {
namespace {

// Past first touches of memory and the growth of the library's tables.
constexpr int kWarmUpPings = 200;

class PingClient {
 public:
  explicit PingClient(const std::string& address)
      : client_(address.c_str()), ping_(client_.getMain<schema::Ping>()) {}

  // Whether the answer is what was sent.
  bool Ping(uint64_t sequence) {
    auto request = ping_.pingRequest();
    request.setSequence(sequence);
    request.setToken(~sequence);
    const auto response = request.send().wait(client_.getWaitScope());
    return response.getSequence() == sequence && response.getToken() == ~sequence;
  }

 private:
  RpcClient client_;
  schema::Ping::Client ping_;
};

absl::Status WrongAnswer(const std::string& address, uint64_t sequence) {
  return absl::DataLossError(
      absl::StrCat("the answer to ping ", sequence, " over ", address, " is not what was sent"));
}

}  // namespace

absl::StatusOr<std::vector<absl::Duration>> PingInARow(const std::string& address, int count) {
  std::vector<absl::Duration> round_trips;
  round_trips.reserve(count);
  try {
    PingClient client(address);
    for (int i = 0; i < kWarmUpPings; ++i) {
      if (!client.Ping(i)) {
        return WrongAnswer(address, i);
      }
    }
    for (int i = 0; i < count; ++i) {
      const auto sent = std::chrono::steady_clock::now();
      const bool right = client.Ping(i);
      round_trips.push_back(absl::FromChrono(std::chrono::steady_clock::now() - sent));
      if (!right) {
        return WrongAnswer(address, i);
      }
    }
  } catch (const kj::Exception& exception) {
    return absl::UnavailableError(absl::StrCat("no answer from ", address, ": ",
                                               exception.getDescription().cStr(),
                                               "; `ping --serve=", address, "` starts a server"));
  }
  return round_trips;
}

}  // namespace shoal
