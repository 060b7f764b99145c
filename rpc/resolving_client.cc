#include "shoal/rpc/resolving_client.h"

#include <thread>

#include "capnp/any.h"
#include "kj/debug.h"
#include "kj/refcount.h"

namespace shoal {
namespace {

// Cap'n Proto 1.0 passes hints along with each call.
#if CAPNP_VERSION < 1000000
#define SHOAL_CALL_HINTS
#define SHOAL_PASS_CALL_HINTS
#else
#define SHOAL_CALL_HINTS , CallHints hints
#define SHOAL_PASS_CALL_HINTS , hints
#endif

class ResolvingClient final: public capnp::ClientHook, public kj::Refcounted {
public:
  explicit ResolvingClient(capnp::Capability::Client queueParam)
      : current(capnp::ClientHook::from(kj::mv(queueParam))), resolving(nullptr) {
    KJ_IF_MAYBE (resolution, current->whenMoreResolved()) {
      // Resolves when the queue has sent what it had, so that no call overtakes another.
      resolving = resolution
                      ->then([this](kj::Own<capnp::ClientHook> resolved) {
                        current = kj::mv(resolved);
                        isResolved = true;
                      })
                      .eagerlyEvaluate([](kj::Exception&&) {});  // each call tells it
    }
  }

  capnp::Request<capnp::AnyPointer, capnp::AnyPointer> newCall(
      uint64_t interfaceId, uint16_t methodId,
      kj::Maybe<capnp::MessageSize> sizeHint SHOAL_CALL_HINTS) override {
    if (thread != std::this_thread::get_id()) {
      // The queue belongs to the event loop of its thread, and would never answer.
      return capnp::newBrokenRequest(
          KJ_EXCEPTION(FAILED,
                       "a capability was used in another thread than that of its connection, to "
                       "which it belongs; have that thread make the call, with kj::Executor for "
                       "instance, or connect in this one too"),
          sizeHint);
    }
    return current->newCall(interfaceId, methodId, sizeHint SHOAL_PASS_CALL_HINTS);
  }

  VoidPromiseAndPipeline call(uint64_t interfaceId, uint16_t methodId,
                              kj::Own<capnp::CallContextHook>&& context SHOAL_CALL_HINTS) override {
    return current->call(interfaceId, methodId, kj::mv(context) SHOAL_PASS_CALL_HINTS);
  }

  kj::Maybe<ClientHook&> getResolved() override {
    if (isResolved) {
      return *current;
    }
    return nullptr;
  }

  kj::Maybe<kj::Promise<kj::Own<ClientHook>>> whenMoreResolved() override {
    if (isResolved) {
      return kj::Promise<kj::Own<ClientHook>>(current->addRef());
    }
    return current->whenMoreResolved();
  }

  kj::Own<ClientHook> addRef() override { return kj::addRef(*this); }
  const void* getBrand() override { return nullptr; }
  kj::Maybe<int> getFd() override { return current->getFd(); }

private:
  const std::thread::id thread = std::this_thread::get_id();
  kj::Own<ClientHook> current;  // at first the queue
  bool isResolved = false;
  kj::Promise<void> resolving;
};

}  // namespace

capnp::Capability::Client newResolvingClient(kj::Promise<capnp::Capability::Client> promise) {
  return capnp::Capability::Client(
      kj::refcounted<ResolvingClient>(capnp::Capability::Client(kj::mv(promise))));
}

}  // namespace shoal
