#include "shoal/bench/paced_work.h"

#include <sys/timerfd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "absl/status/status.h"
#include "kj/async-io.h"
#include "kj/debug.h"
#include "shoal/bench/gaps.h"
#include "shoal/bench/ping_calls.h"
#include "shoal/bench/ping_vats.h"
#include "shoal/bench/usage.h"
#include "shoal/bench/used.h"
#include "shoal/rpc/client.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {
namespace {

// Sleeps in the event loop, to the microsecond: KJ's own timers count in milliseconds.
class Timer {
 public:
  explicit Timer(RpcClient& client)
      : fd_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
        stream_(client.getLowLevelIoProvider().wrapInputFd(
            fd_.get(), kj::LowLevelAsyncIoProvider::ALREADY_CLOEXEC |
                           kj::LowLevelAsyncIoProvider::ALREADY_NONBLOCK)),
        wait_scope_(client.getWaitScope()) {}

  void Sleep(absl::Duration time) {
    itimerspec when = {};
    when.it_value = absl::ToTimespec(time);
    KJ_SYSCALL(timerfd_settime(fd_.get(), 0, &when, nullptr));
    uint64_t expirations;
    stream_->read(&expirations, sizeof(expirations)).wait(wait_scope_);
  }

 private:
  const UniqueFd fd_;
  kj::Own<kj::AsyncInputStream> stream_;
  kj::WaitScope& wait_scope_;
};

void BeBusy(absl::Duration time) {
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(time);
  while (std::chrono::steady_clock::now() < end) {
  }
}

// What a client does between its requests.
class Pauses {
 public:
  Pauses(RpcClient& client, absl::Duration mean)
      : gaps_(mean), is_busy_(mean <= kBusyGap), timer_(client) {}

  void Pause() {
    const absl::Duration gap = gaps_.Next();
    if (!is_busy_) {
      return timer_.Sleep(gap);
    }
    BeBusy(gap);
    busy_ += gap;
  }

  // CPU time that all pauses so far have taken.
  absl::Duration busy() const { return busy_; }

 private:
  ExponentialGaps gaps_;
  const bool is_busy_;
  Timer timer_;
  absl::Duration busy_;
};

// Requests without a look at the budget: some 10 ms.
int BatchWith(absl::Duration mean_gap) {
  return std::clamp(static_cast<int>(absl::Milliseconds(10) / mean_gap), 5, 1000);
}

absl::StatusOr<Samples> SamplePings(RpcClient& client, absl::Duration mean_gap,
                                    const SampleBudget& budget) {
  auto ping = client.getMain<schema::Ping>();
  kj::WaitScope& wait_scope = client.getWaitScope();
  PingCall call{ping, wait_scope};
  const auto operate = [&](uint64_t sequence) {
    return call(sequence) ? absl::OkStatus()
                          : absl::DataLossError("the answer to a ping is not what was sent");
  };
  Pauses pauses(client, mean_gap);
  const auto batch = [&](Samples& samples) {
    absl::Status taken;
    for (int i = 0; taken.ok() && i < BatchWith(mean_gap); ++i) {
      pauses.Pause();
      taken = TakeSample(operate, budget, samples);
    }
    return taken;
  };
  UsageMeter meter;
  return TakeBatches(budget, batch, [&]() -> absl::StatusOr<Usage> {
    Usage used = meter.Read() + UsageOfServer(ping, wait_scope);
    used.cpu -= pauses.busy();
    return used;
  });
}

}  // namespace

absl::StatusOr<Samples> SamplePacedPings(const std::string& address, absl::Duration mean_gap,
                                         const ChannelOptions& channel,
                                         const SampleBudget& budget) {
  return WithClient(address, channel,
                    [&](RpcClient& client) { return SamplePings(client, mean_gap, budget); });
}

}  // namespace shoal
