#include "shoal/bench/call_times.h"

#include <string.h>

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "capnp/rpc-twoparty.h"
#include "capnp/rpc.h"
#include "kj/async.h"
#include "kj/exception.h"
#include "shoal/bench/loopback_network.h"
#include "shoal/bench/median.h"
#include "shoal/bench/ping.capnp.h"
#include "shoal/bench/ping_server.h"
#include "shoal/rpc/client.h"

namespace shoal {
namespace {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;

// Past first touches of memory and the growth of tables. A mebibyte has to be touched in each block
// that messages rotate through.
constexpr int kWarmUpPings = 200;
constexpr int kWarmUpSinks = 20;

struct PingCall {
  schema::Ping::Client& ping;
  kj::WaitScope& wait_scope;

  // Whether the answer is right.
  bool operator()(uint64_t sequence) {
    auto request = ping.pingRequest();
    request.setSequence(sequence);
    request.setToken(~sequence);
    const auto response = request.send().wait(wait_scope);
    return response.getSequence() == sequence && response.getToken() == ~sequence;
  }
};

struct SinkCall {
  schema::Ping::Client& ping;
  kj::WaitScope& wait_scope;

  // Whether the answer is right.
  bool operator()(uint64_t sequence) {
    const uint64_t byte = sequence & 0xff;
    auto request = ping.sinkRequest();
    memset(request.initData(kSinkBytes).begin(), static_cast<int>(byte), kSinkBytes);
    const uint64_t sum = uint64_t{0x0101010101010101} * byte * (kSinkBytes / sizeof(uint64_t));
    return request.send().wait(wait_scope).getSum() == sum;
  }
};

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
  try {
    RpcClient client(address.c_str());
    // What getMain() gives before the connection is there queues its calls, and copies their
    // parameters, ever after.
    client.getMain<schema::Ping>().pingRequest().send().wait(client.getWaitScope());
    return TimeCalls(client.getMain<schema::Ping>(), client.getWaitScope(), counts);
  } catch (const kj::Exception& exception) {
    return absl::UnavailableError(
        absl::StrCat("no answer from ", address, ": ", exception.getDescription().cStr()));
  }
}

absl::StatusOr<CallTimes> TimeLoopbackCalls(CallCounts counts) {
  try {
    kj::EventLoop loop;
    kj::WaitScope wait_scope(loop);
    LoopbackNetwork client_network(Side::CLIENT);
    LoopbackNetwork server_network(Side::SERVER);
    client_network.join(server_network);
    auto server = capnp::makeRpcServer(server_network, NewPingServer());
    auto client = capnp::makeRpcClient(client_network);
    capnp::MallocMessageBuilder id(4);
    id.initRoot<VatId>().setSide(Side::SERVER);
    return TimeCalls(client.bootstrap(id.getRoot<VatId>()).castAs<schema::Ping>(), wait_scope,
                     counts);
  } catch (const kj::Exception& exception) {
    return absl::UnavailableError(
        absl::StrCat("no answer from the loopback: ", exception.getDescription().cStr()));
  }
}

}  // namespace shoal
