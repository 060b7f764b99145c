#include "shoal/rpc/workers.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "kj/debug.h"
#include "kj/thread.h"

namespace shoal {
namespace {

constexpr auto OBSERVE_READ = kj::UnixEventPort::FdObserver::Flags::OBSERVE_READ;

constexpr auto PATIENCE = std::chrono::seconds(1);
constexpr auto LOOK_INTERVAL = std::chrono::milliseconds(50);
// With a thread that does not end: how long until it may be left behind, and how often to look
// whether it waits for this one.

kj::AutoCloseFd newEventFd() {
  int fd;
  KJ_SYSCALL(fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return kj::AutoCloseFd(fd);
}

bool isWokenByAnotherThread(kj::UnixEventPort& port) {
  // The event loop shall hear of it too, when it runs again.
  const bool isWoken = port.poll();
  if (isWoken) {
    port.wake();
  }
  return isWoken;
}

}  // namespace

class Workers::Worker final: private kj::TaskSet::ErrorHandler {
  // Jobs go to the thread through a queue of its own, not through its kj::Executor: to drop what an
  // executor is at work on, one waits until its thread has looked, which may be waiting for
  // oneself.

public:
  struct Inside {
    // What the thread has made.
    RpcContext& context;
    Sessions& sessions;
    kj::TaskSet& clients;
  };
  using Job = kj::Function<void(Inside&)>;

  Worker(capnp::ReaderOptions readerOptions, const TraceEncoder& traceEncoder,
         const BootstrapFactory& factory)
      : news(newEventFd()), thread([this, readerOptions, traceEncoder, factory]() {
          run(readerOptions, traceEncoder, factory);
        }) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this]() { return state != State::STARTING; });
    KJ_IF_MAYBE (reason, failure) {
      kj::throwFatalException(kj::cp(*reason));
    }
  }
  ~Worker() noexcept(false) { stop(); }
  KJ_DISALLOW_COPY(Worker);

  size_t getLoad() const { return load; }

  void stop() {
    {
      const std::lock_guard lock(mutex);
      isStopping = true;
    }
    ring();
  }

  bool endsWithout(kj::UnixEventPort& port) {
    // Waits until the thread has ended. False: it waits, or may wait, for the thread of `port`.
    const auto patientUntil = std::chrono::steady_clock::now() + PATIENCE;
    std::unique_lock lock(mutex);
    while (!changed.wait_for(lock, LOOK_INTERVAL, [this]() { return state == State::ENDED; })) {
      if (std::chrono::steady_clock::now() > patientUntil && isWokenByAnotherThread(port)) {
        return false;
      }
    }
    return true;
  }

  template <typename Serve>
  kj::Promise<void> serve(Serve serveIn) {
    ++load;
    auto paf = kj::newPromiseAndCrossThreadFulfiller<void>();
    give([serveIn = kj::mv(serveIn), fulfiller = kj::mv(paf.fulfiller)](Inside& inside) mutable {
      auto& end = *fulfiller;
      auto served = kj::evalNow([&]() { return serveIn(inside.context, inside.sessions); });
      inside.clients.add(
          served
              .then([&end]() { end.fulfill(); },
                    [&end](kj::Exception&& exception) { end.reject(kj::mv(exception)); })
              .attach(kj::mv(fulfiller)));
    });
    return paf.promise.attach(kj::defer([this]() { --load; }));
  }

  kj::Promise<void> drain() {
    auto paf = kj::newPromiseAndCrossThreadFulfiller<void>();
    give([fulfiller = kj::mv(paf.fulfiller)](Inside& inside) mutable {
      inside.sessions.drain();
      fulfiller->fulfill();
    });
    return kj::mv(paf.promise);
  }

private:
  enum class State { STARTING, RUNNING, ENDED };

  void give(Job job) {
    {
      const std::lock_guard lock(mutex);
      jobs.add(kj::mv(job));
    }
    ring();
  }

  void ring() {
    // Fails only when the counter is full, and then it has rung.
    (void)eventfd_write(news, 1);
  }

  void run(capnp::ReaderOptions readerOptions, const TraceEncoder& traceEncoder,
           const BootstrapFactory& factory) {
    auto reason =
        kj::runCatchingExceptions([&]() { serveClients(readerOptions, traceEncoder, factory); });
    KJ_IF_MAYBE (exception, reason) {
      KJ_LOG(ERROR, "a thread of the server has ended", *exception);
    }
    const std::lock_guard lock(mutex);
    failure = kj::mv(reason);
    state = State::ENDED;
    changed.notify_all();
  }

  void serveClients(capnp::ReaderOptions readerOptions, const TraceEncoder& traceEncoder,
                    const BootstrapFactory& factory) {
    auto context = RpcContext::getThreadLocal();
    context->pollWhileBusy();
    Sessions sessions(*context, readerOptions, traceEncoder,
                      [&factory](const Peer& client, capnp::AnyPointer::Reader objectId) {
                        KJ_REQUIRE(objectId.isNull(),
                                   "a server with threads of its own exports nothing by name");
                        return factory(client);
                      });
    kj::TaskSet clients(*this);
    Inside inside = {*context, sessions, clients};
    kj::UnixEventPort::FdObserver observer(context->getPort(), news, OBSERVE_READ);
    setRunning();
    workUntilStopped(inside, observer).wait(context->getWaitScope());
  }

  void setRunning() {
    const std::lock_guard lock(mutex);
    state = State::RUNNING;
    changed.notify_all();
  }

  kj::Promise<void> workUntilStopped(Inside& inside, kj::UnixEventPort::FdObserver& observer) {
    auto more = observer.whenBecomesReadable();  // before the look, so that none is missed
    eventfd_t count = 0;
    (void)eventfd_read(news, &count);
    kj::Vector<Job> taken;
    {
      const std::lock_guard lock(mutex);
      if (isStopping) {
        return kj::READY_NOW;
      }
      taken = kj::mv(jobs);
      jobs = kj::Vector<Job>();
    }
    for (Job& job: taken) {
      job(inside);
    }
    return more.then([this, &inside, &observer]() { return workUntilStopped(inside, observer); });
  }

  void taskFailed(kj::Exception&& exception) override {
    KJ_LOG(ERROR, "the end of a client cannot be told", exception);
  }

  size_t load = 0;             // of the owner's thread, as all that the lock does not guard
  const kj::AutoCloseFd news;  // rung when there is a job, or at the end

  std::mutex mutex;
  std::condition_variable changed;  // `state`
  kj::Vector<Job> jobs;             // guarded by `mutex`, as all that follows
  bool isStopping = false;
  State state = State::STARTING;
  kj::Maybe<kj::Exception> failure;

  kj::Thread thread;  // last, so that it is joined while the rest is there
};

Workers::Workers(RpcContext& context, uint threads, capnp::ReaderOptions readerOptions,
                 TraceEncoder traceEncoder, BootstrapFactory factory)
    : context(context) {
  for (uint i = 0; i < threads; ++i) {
    workers.add(kj::heap<Worker>(readerOptions, traceEncoder, factory));
  }
}

Workers::~Workers() noexcept(false) {
  for (auto& worker: workers) {
    worker->stop();
  }
  for (auto& worker: workers) {
    if (!worker->endsWithout(context.getPort())) {
      KJ_LOG(
          ERROR,
          "a handler in a thread of the RpcServer waits for the thread that destroys the server, "
          "as with kj::Executor::executeSync(), and is left behind: use executeAsync()");
      context.leaveBehind(kj::mv(worker));
    }
  }
}

kj::Promise<void> Workers::serve(kj::Own<Channel> channel) {
  return idlest().serve([channel = kj::mv(channel)](RpcContext&, Sessions& sessions) mutable {
    return sessions.serve(kj::mv(channel));
  });
}

kj::Promise<void> Workers::serve(kj::AutoCloseFd socket, kj::StringPtr address) {
  return idlest().serve([socket = kj::mv(socket), address = kj::heapString(address)](
                            RpcContext& context, Sessions& sessions) mutable {
    return sessions.serve(context.getLowLevelIoProvider().wrapSocketFd(kj::mv(socket)), address);
  });
}

kj::Promise<void> Workers::drain() {
  kj::Vector<kj::Promise<void>> drained;
  for (auto& worker: workers) {
    drained.add(worker->drain());
  }
  return kj::joinPromises(drained.releaseAsArray());
}

Workers::Worker& Workers::idlest() {
  return **std::min_element(
      workers.begin(), workers.end(),
      [](const auto& left, const auto& right) { return left->getLoad() < right->getLoad(); });
}

}  // namespace shoal
