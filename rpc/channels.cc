#include "shoal/rpc/channels.h"

#include <unistd.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "kj/debug.h"
#include "kj/timer.h"
#include "shoal/rpc/duration.h"
#include "shoal/rpc/exception.h"
#include "shoal/rpc/poller.h"
#include "shoal/transport/fork_mark.h"
#include "shoal/transport/handshake.h"
#include "shoal/transport/shm_connect.h"
#include "shoal/transport/shm_listener.h"

namespace shoal {
namespace {

constexpr auto OBSERVE_READ = kj::UnixEventPort::FdObserver::Flags::OBSERVE_READ;

template <typename T>
T unwrap(absl::StatusOr<T> result) {
  if (!result.ok()) {
    kj::throwFatalException(SHOAL_EXCEPTION(result.status()));
  }
  return *kj::mv(result);
}

Address shmAddress(kj::StringPtr text) {
  return unwrap(ParseShmAddress({text.begin(), text.size()}));
}

class Greeting {
  // A client's handshake that is waiting for the server's half.

public:
  Greeting(kj::UnixEventPort& port, ClientHandshake handshakeParam, absl::Duration timeout,
           std::string silence)
      : port(port),
        handshake(kj::mv(handshakeParam)),
        timeout(timeout),
        silence(kj::mv(silence)),
        giveUp(deadlineIn(timeout)) {}
  KJ_DISALLOW_COPY(Greeting);

  kj::Promise<kj::Own<Channel>> finish() {
    // The clock first: what came while the loop was elsewhere came in time.
    const bool isLast = kj::systemPreciseMonotonicClock().now() >= giveUp;
    // The handshake gives its descriptor away when it is done, and closes it when it fails.
    observer = nullptr;
    std::unique_ptr<Channel> channel = unwrap(handshake.Finish());
    if (channel != nullptr) {
      return toOwn(kj::mv(channel));
    }
    if (isLast) {
      kj::throwFatalException(SHOAL_EXCEPTION(absl::DeadlineExceededError(
          absl::StrCat(silence, " within ", absl::FormatDuration(timeout),
                       ", ChannelOptions::connect_timeout"))));
    }
    // What has come since the look is told of as well: epoll tells a new observer what is there.
    observer = kj::heap<kj::UnixEventPort::FdObserver>(port, handshake.fd(), OBSERVE_READ);
    return observer->whenBecomesReadable()
        .exclusiveJoin(port.getTimer().atTime(giveUp))
        .then([this]() { return finish(); });
  }

private:
  kj::UnixEventPort& port;
  ClientHandshake handshake;
  const absl::Duration timeout;
  const std::string silence;  // what the server has failed to do when the time is over
  const kj::TimePoint giveUp;
  kj::Own<kj::UnixEventPort::FdObserver> observer;  // goes before what it observes
};

kj::Promise<kj::Own<Channel>> finish(kj::UnixEventPort& port, ClientHandshake handshake,
                                     absl::Duration timeout, std::string silence) {
  auto greeting = kj::heap<Greeting>(port, kj::mv(handshake), timeout, kj::mv(silence));
  auto promise = kj::evalNow([&]() { return greeting->finish(); });
  return promise.attach(kj::mv(greeting));
}

std::string noAnswerFrom(const Address& address) {
  return absl::StrCat("the server at ", address.text(), " did not answer");
}

class Dialling {
  // A client that waits for its server to be there.

public:
  Dialling(kj::UnixEventPort& port, Address address, const ChannelOptions& options)
      : port(port),
        address(kj::mv(address)),
        options(options),
        giveUp(deadlineIn(options.connect_timeout)) {}

  kj::Promise<kj::Own<Channel>> dial() {
    auto handshake = TryConnect(address, options);
    if (!handshake.ok() && absl::IsUnavailable(handshake.status()) &&
        kj::systemPreciseMonotonicClock().now() < giveUp) {
      return port.getTimer().afterDelay(toKj(RetryDelay(++attempts))).then([this]() {
        return dial();
      });
    }
    return finish(port, unwrap(kj::mv(handshake)), options.connect_timeout, noAnswerFrom(address));
  }

private:
  kj::UnixEventPort& port;
  const Address address;
  const ChannelOptions options;
  const kj::TimePoint giveUp;
  int attempts = 0;
};

void validate(const ChannelOptions& options) {
  const absl::Status valid = Validate(options);
  if (!valid.ok()) {
    kj::throwFatalException(SHOAL_EXCEPTION(valid));
  }
}

}  // namespace

kj::Promise<kj::Maybe<kj::Own<Channel>>> tryConnectChannel(kj::UnixEventPort& port,
                                                           kj::StringPtr text,
                                                           const ChannelOptions& options,
                                                           kj::StringPtr claim) {
  return kj::evalNow([&]() -> kj::Promise<kj::Maybe<kj::Own<Channel>>> {
    validate(options);
    const Address address = shmAddress(text);
    auto handshake = TryConnect(address, options, {claim.begin(), claim.size()});
    if (absl::IsUnavailable(handshake.status())) {
      return kj::Maybe<kj::Own<Channel>>(nullptr);
    }
    return finish(port, unwrap(kj::mv(handshake)), options.connect_timeout, noAnswerFrom(address))
        .then([](kj::Own<Channel> channel) -> kj::Maybe<kj::Own<Channel>> {
          return kj::mv(channel);
        });
  });
}

void requireShmAddress(kj::StringPtr address) {
  shmAddress(address);
}

kj::Own<Channel> toOwn(std::unique_ptr<Channel> channel) {
  Channel* pointer = channel.get();
  return kj::Own<Channel>(pointer, kj::NullDisposer::instance).attach(kj::mv(channel));
}

kj::Promise<kj::Own<Channel>> connectChannel(kj::UnixEventPort& port, kj::StringPtr address,
                                             const ChannelOptions& options) {
  return kj::evalNow([&]() {
    validate(options);
    auto dialling = kj::heap<Dialling>(port, shmAddress(address), options);
    auto promise = dialling->dial();
    return promise.attach(kj::mv(dialling));
  });
}

struct ChannelReceiver::Impl final: private kj::TaskSet::ErrorHandler {
  Impl(kj::UnixEventPort& port, const Address& address, const ChannelOptions& options)
      : port(port),
        listener(unwrap(ShmListener::Listen(address, options))),
        observer(port, listener->doorbell(), OBSERVE_READ),
        claiming(*this) {}

  kj::Promise<void> acceptLoop() {
    return kj::evalNow([this]() { return takeTurn(); }).then([this]() { return acceptLoop(); });
  }

  kj::Promise<void> takeTurn() {
    KJ_REQUIRE(!forkMark.forked(),
               "this process was forked from the one that listens here, which keeps its clients: "
               "make the server after fork() or daemon()",
               listener->address(), owner, getpid());
    // Before the look, as the observer tells only of what comes later.
    auto readable = observer.whenBecomesReadable();
    auto turn = listener->TakeTurn();
    logRefusals();
    if (absl::IsResourceExhausted(turn.status())) {
      // Descriptors come back when clients leave, or were silent for too long.
      KJ_LOG(WARNING, "no client can be accepted for now", turn.status().ToString().c_str());
      return port.getTimer().afterDelay(DELAY_WHEN_EXHAUSTED);
    }
    auto taken = unwrap(kj::mv(turn));
    if (taken.channel != nullptr) {
      accepted(toOwn(kj::mv(taken.channel)));
    }
    if (taken.claiming) {
      claiming.add(check(*kj::mv(taken.claiming)));
    }
    switch (taken.next) {
      case ShmListener::Turn::Next::kRest:
        return port.getTimer().afterDelay(toKj(ShmListener::kRest));
      case ShmListener::Turn::Next::kTurn:
        // Through the event port, so that what else is there has its turn as well.
        return port.getTimer().afterDelay(0 * kj::NANOSECONDS);
      case ShmListener::Turn::Next::kWait:
        break;
    }
    const Deadline deadline = listener->next_deadline();
    if (deadline.never()) {
      return readable;
    }
    const auto left = deadline.Left(std::chrono::hours(1));
    return readable.exclusiveJoin(port.getTimer().atTime(kj::systemPreciseMonotonicClock().now() +
                                                         toKj(absl::FromChrono(left))));
  }

  kj::Promise<void> check(ServerHandshake handshake) {
    auto claim = kj::heapString(handshake.claim().c_str());
    auto confirming = confirmClaim(claim);
    return confirming.attach(kj::mv(claim))
        .then([this, handshake = kj::mv(handshake)](bool isTrue) mutable {
          if (!isTrue) {
            kj::throwFatalException(SHOAL_EXCEPTION(handshake.RefuseClaim()));
          }
          handshake.ConfirmClaim();
          accepted(toOwn(unwrap(handshake.Finish())));
        });
  }

  void taskFailed(kj::Exception&& exception) override {
    // The client has been told, and stays with what it has.
    KJ_LOG(INFO, "a client could not connect", exception);
  }

  void logRefusals() {
    // A stranger may be refused thousands of times a second.
    const ListenerStats stats = listener->stats();
    const kj::TimePoint now = port.getTimer().now();
    if (stats.refused + stats.silent == logged || now < nextLog) {
      return;
    }
    KJ_LOG(WARNING, "clients were not let in", listener->address().c_str(),
           stats.refused + stats.silent - logged, stats.last_refusal.c_str());
    logged = stats.refused + stats.silent;
    nextLog = now + 1 * kj::SECONDS;
  }

  const ForkMark forkMark = unwrap(ForkMark::Create());
  const pid_t owner = getpid();
  kj::UnixEventPort& port;
  std::unique_ptr<ShmListener> listener;
  kj::UnixEventPort::FdObserver observer;
  kj::Function<void(kj::Own<Channel>)> accepted = [](kj::Own<Channel>) {};
  uint64_t logged = 0;  // of those not let in
  kj::TimePoint nextLog = kj::origin<kj::TimePoint>();
  ConfirmClaim confirmClaim = [](kj::StringPtr) -> kj::Promise<bool> { return false; };
  kj::TaskSet claiming;  // the clients that make a claim
};

ChannelReceiver::ChannelReceiver(kj::UnixEventPort& port, kj::StringPtr address,
                                 const ChannelOptions& options) {
  validate(options);
  impl = kj::heap<Impl>(port, shmAddress(address), options);
}

ChannelReceiver::~ChannelReceiver() noexcept(false) {}

kj::Promise<void> ChannelReceiver::listen(kj::Function<void(kj::Own<Channel>)> accepted,
                                          ConfirmClaim confirmClaim) {
  impl->accepted = kj::mv(accepted);
  impl->confirmClaim = kj::mv(confirmClaim);
  return kj::evalNow([this]() { return impl->acceptLoop(); });
}

}  // namespace shoal
