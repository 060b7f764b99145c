#include "shoal/rpc/workers.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <future>

#include "kj/debug.h"
#include "kj/thread.h"

namespace shoal {

class Workers::Worker {
public:
  Worker(capnp::ReaderOptions readerOptions, const TraceEncoder& traceEncoder,
         const BootstrapFactory& factory)
      : thread([this, readerOptions, traceEncoder, factory]() {
          run(readerOptions, traceEncoder, factory);
        }) {
    loop = started.get_future().get();
  }
  ~Worker() noexcept(false) { loop.stop->fulfill(); }
  KJ_DISALLOW_COPY(Worker);

  size_t getLoad() const { return load; }

  kj::Promise<void> drain() {
    return loop.executor->executeAsync([&sessions = *loop.sessions]() { sessions.drain(); });
  }

  template <typename Serve>
  kj::Promise<void> serve(Serve serveIn) {
    ++load;
    // Release, for the acquire below: what is handed over, whole.
    handedOver.fetch_add(1, std::memory_order_release);
    return loop.executor
        ->executeAsync([this, serveIn = kj::mv(serveIn)]() mutable {
          (void)handedOver.load(std::memory_order_acquire);
          return serveIn(*loop.context, *loop.sessions);
        })
        .attach(kj::defer([this]() { --load; }));
  }

private:
  struct Loop {
    // What the thread has made. Only `executor` and `stop` may be used from another one.
    kj::Own<const kj::Executor> executor;
    kj::Own<kj::CrossThreadPromiseFulfiller<void>> stop;
    RpcContext* context = nullptr;
    Sessions* sessions = nullptr;
  };

  void run(capnp::ReaderOptions readerOptions, const TraceEncoder& traceEncoder,
           const BootstrapFactory& factory) {
    try {
      auto context = RpcContext::getThreadLocal();
      Sessions sessions(*context, readerOptions, traceEncoder,
                        [&factory](const Peer& client, capnp::AnyPointer::Reader objectId) {
                          KJ_REQUIRE(objectId.isNull(),
                                     "a server with threads of its own exports nothing by name");
                          return factory(client);
                        });
      auto stopping = kj::newPromiseAndCrossThreadFulfiller<void>();
      started.set_value({kj::getCurrentThreadExecutor().addRef(), kj::mv(stopping.fulfiller),
                         context.get(), &sessions});
      stopping.promise.wait(context->getWaitScope());
    } catch (...) {
      started.set_exception(std::current_exception());
    }
  }

  std::promise<Loop> started;
  Loop loop;
  size_t load = 0;
  std::atomic<uint64_t> handedOver = 0;
  // The executor's mutex orders both threads as well, but ThreadSanitizer does not see it in a
  // libkj that was not compiled for it.
  kj::Thread thread;  // last, so that it is joined while the rest is there
};

Workers::Workers(uint threads, capnp::ReaderOptions readerOptions, TraceEncoder traceEncoder,
                 BootstrapFactory factory) {
  for (uint i = 0; i < threads; ++i) {
    workers.add(kj::heap<Worker>(readerOptions, traceEncoder, factory));
  }
}

Workers::~Workers() noexcept(false) {}

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
