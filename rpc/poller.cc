#include "shoal/rpc/poller.h"

#include <algorithm>
#include <chrono>

#include "absl/time/time.h"
#include "kj/debug.h"
#include "kj/timer.h"
#include "shoal/rpc/duration.h"

namespace shoal {
namespace {

constexpr auto LONGEST_SPIN = std::chrono::milliseconds(1);
// A longer budget is spun in pieces, and the event port has its turn after each.

kj::Own<kj::UnixEventPort::FdObserver> observeFd(kj::UnixEventPort& port, int fd) {
  return kj::heap<kj::UnixEventPort::FdObserver>(
      port, fd, kj::UnixEventPort::FdObserver::Flags::OBSERVE_READ);
}

}  // namespace

class Poller::Lingering final: public Poller::Source {
  // A channel that nobody uses any more, and that has something to deliver.

public:
  Lingering(Poller& poller, kj::Own<Channel> channel, kj::Own<kj::PromiseFulfiller<void>> delivered)
      : Source(poller, kj::mv(channel)), delivered(kj::mv(delivered)) {
    wait();
  }
  ~Lingering() noexcept(false) {
    if (!done) {
      channel->HangUp();
    }
  }

private:
  bool isWaiting() override { return !done; }
  bool isReady() override { return channel->Flushable(); }
  void serve() override {
    if (!absl::IsDeadlineExceeded(channel->Flush(absl::ZeroDuration()))) {
      done = true;
      delivered->fulfill();
    }
  }
  bool arm() override { return channel->ArmForRoom(); }

  kj::Own<kj::PromiseFulfiller<void>> delivered;
  bool done = false;
};

Poller::Poller(kj::UnixEventPort& port)
    : port(port), tasks(kj::heap<kj::TaskSet>(static_cast<ErrorHandler&>(*this))) {}

Poller::~Poller() noexcept(false) {
  const auto begin = std::chrono::steady_clock::now();
  for (Source* source: sources) {
    const auto elapsed = absl::FromChrono(std::chrono::steady_clock::now() - begin);
    source->channel->Flush(source->channel->options().linger - elapsed).IgnoreError();
  }
  tasks = nullptr;
  KJ_ASSERT(sources.empty(), "a Poller must outlive its channels") {
    break;
  }
}

void Poller::letGo(kj::Own<Channel> channel) {
  channel->End();
  const absl::Duration linger = channel->options().linger;
  if (linger == absl::ZeroDuration() ||
      !absl::IsDeadlineExceeded(channel->Flush(absl::ZeroDuration()))) {
    return;
  }
  auto delivered = kj::newPromiseAndFulfiller<void>();
  auto lingering = kj::heap<Lingering>(*this, kj::mv(channel), kj::mv(delivered.fulfiller));
  tasks->add(delivered.promise.exclusiveJoin(port.getTimer().atTime(deadlineIn(linger)))
                 .attach(kj::mv(lingering)));
}

void Poller::add(Source& source) {
  if (sources.empty()) {
    // All channels of a thread spin together; the first one's choice counts.
    budget = kj::heap<SpinBudget>(source.channel->options().spin);
  }
  sources.add(&source);
  enliven();
}

void Poller::remove(Source& source) {
  auto found = std::find(sources.begin(), sources.end(), &source);
  *found = sources.back();
  sources.removeLast();
  if (recent == &source) {
    recent = nullptr;
  }
}

void Poller::wait(Source& source) {
  switch (state) {
    case State::IDLE:
      scheduleLook();
      break;
    case State::LOOKING:
      break;
    case State::PARKED:
      // The others sleep on; this one joins them unless there is something for it already.
      if (!source.arm()) {
        rung();
      }
      break;
  }
}

void Poller::rung() {
  if (state == State::PARKED) {
    KJ_IF_MAYBE (since, waitingSince) {
      budget->Slept(SpinBudget::Clock::now() - *since);
    }
    unpark();
    scheduleLook();
  }
}

void Poller::scheduleLook() {
  if (mustYield()) {
    lookAfterYield();
  } else {
    state = State::LOOKING;
    tasks->add(kj::evalLast([this]() { look(); }));
  }
}

void Poller::lookAfterYield() {
  state = State::LOOKING;
  // A timer that is due at once makes the event port look at everything, with no system call of
  // ours. Only then may messages be handled again, or the source that comes first takes all turns.
  // What the event port found goes before the look, which may spin.
  tasks->add(port.getTimer().afterDelay(0 * kj::NANOSECONDS).then([this]() {
    handled = 0;
    return kj::evalLast([this]() { look(); });
  }));
}

void Poller::look() {
  state = State::IDLE;
  if (!anyWaiting()) {
    return;
  }
  if (spin()) {
    serveReady();
  } else if (SpinBudget::Clock::now() < spinUntil) {
    lookAfterYield();
  } else {
    park();
  }
}

bool Poller::spin() {
  if (anyReady()) {
    return true;
  }
  if (waitingSince == nullptr) {
    beginWait();
  }
  const auto now = SpinBudget::Clock::now();
  const auto won = SpinUntil(std::min<SpinBudget::Clock::duration>(spinUntil - now, LONGEST_SPIN),
                             [this]() { return anyReady(); });
  if (won) {
    KJ_IF_MAYBE (since, waitingSince) {
      budget->SpinWon(now + *won - *since);
    }
  }
  return won.has_value();
}

void Poller::beginWait() {
  const auto now = SpinBudget::Clock::now();
  waitingSince = now;
  spinUntil = now + budget->Begin(recent == nullptr ? SpinBudget::Peer::kAwake
                                                    : recent->channel->PeerAtWait());
}

void Poller::serveReady() {
  const size_t count = kj::min(lively, sources.size());
  for (size_t i = 0; i < count; ++i) {
    Source* source = sources[i];
    if (isReady(*source)) {
      recent = source;
      source->served = true;
      source->serve();
    }
  }
  if (anyWaiting()) {
    scheduleLook();
  }
}

void Poller::park() {
  state = State::PARKED;
  for (Source* source: sources) {
    if (source->isWaiting() && !source->arm()) {
      unpark();
      enliven();
      serveReady();
      return;
    }
  }
  trim();
}

void Poller::trim() {
  if (trimming) {
    return;
  }
  absl::Duration next = absl::InfiniteDuration();
  for (Source* source: sources) {
    next = std::min(next, source->channel->Trim());
  }
  if (next == absl::InfiniteDuration()) {
    return;
  }
  trimming = true;
  tasks->add(port.getTimer().afterDelay(toKj(next)).then([this]() {
    trimming = false;
    trim();
  }));
}

void Poller::unpark() {
  state = State::IDLE;
  for (Source* source: sources) {
    source->channel->DisarmDoorbell();
  }
}

bool Poller::anyWaiting() {
  return std::any_of(sources.begin(), sources.end(),
                     [](Source* source) { return source->isWaiting(); });
}

bool Poller::isReady(Source& source) {
  return source.isWaiting() && source.isReady();
}

bool Poller::anyReady() {
  // Before the look: what it finds among the lively ones is served while they are that.
  if (++looks >= sources.size()) {
    beginRound();
  }
  const size_t count = kj::min(lively, sources.size());
  bool ready = std::any_of(sources.begin(), sources.begin() + count,
                           [](Source* source) { return isReady(*source); });
  for (size_t i = 0; i < IN_TURN && turn < sources.size(); ++i) {
    ready |= isNextReady();
  }
  return ready;
}

bool Poller::isNextReady() {
  Source*& next = sources[turn++];
  if (!isReady(*next)) {
    return false;
  }
  std::swap(next, sources[lively++]);
  return true;
}

void Poller::enliven() {
  lively = sources.size();
  turn = lively;
}

void Poller::beginRound() {
  const auto idle =
      std::partition(sources.begin(), sources.end(), [](Source* source) { return source->served; });
  std::for_each(sources.begin(), idle, [](Source* source) { source->served = false; });
  lively = kj::max(FEW, static_cast<size_t>(idle - sources.begin()));
  turn = lively;
  looks = 0;
}

void Poller::taskFailed(kj::Exception&& exception) {
  KJ_LOG(ERROR, "waiting for channels failed", exception);
}

Poller::Source::Source(Poller& poller, kj::Own<Channel> channelParam)
    : poller(poller),
      channel(kj::mv(channelParam)),
      doorbell(observeFd(poller.port, channel->doorbells().first)) {
  KJ_REQUIRE(poller.isOnThread(), "a Poller belongs to the thread that made it; make one in each",
             channel->peer().address.c_str());
  channel->BindToThread();
  if (const int fd = channel->doorbells().second; fd >= 0) {
    death = observeFd(poller.port, fd);
  }
  poller.add(*this);
  beginObserving();
}

Poller::Source::~Source() noexcept(false) {
  poller.remove(*this);
  observeTask = nullptr;
  doorbell = nullptr;
  death = nullptr;
  poller.letGo(kj::mv(channel));
}

void Poller::Source::beginObserving() {
  observeTask =
      observe().exclusiveJoin(observeDeath()).eagerlyEvaluate([](kj::Exception&& exception) {
        KJ_LOG(ERROR, "the doorbell of a channel cannot be observed", exception);
      });
}

kj::Promise<void> Poller::Source::observe() {
  // The promise is made before the drain, so that no edge between the two is lost.
  kj::Promise<void> next = doorbell->whenBecomesReadable();
  wake();
  if (channel->short_of_descriptors()) {
    // There is no edge when a descriptor comes back, nor for rings once the socket is full.
    next = next.exclusiveJoin(poller.port.getTimer().afterDelay(DELAY_WHEN_EXHAUSTED));
  }
  return next.then([this]() { return observe(); });
}

bool Poller::Source::stalls(const absl::Status& error) {
  if (!absl::IsResourceExhausted(error) || !channel->short_of_descriptors()) {
    return false;
  }
  if (!warned) {
    KJ_LOG(WARNING, "no message can be received for now", error.ToString().c_str());
    warned = true;
  }
  // The edge of what waits may have been handled before it came to the front.
  beginObserving();
  stalled = channel->short_of_descriptors();
  return true;
}

kj::Promise<void> Poller::Source::observeDeath() {
  KJ_IF_MAYBE (observer, death) {
    return (*observer)->whenBecomesReadable().then([this]() { wake(); });
  }
  return kj::NEVER_DONE;
}

void Poller::Source::wake() {
  channel->DrainDoorbell();
  stalled = false;
  warned = warned && channel->short_of_descriptors();
  poller.rung();
}

}  // namespace shoal
