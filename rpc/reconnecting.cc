#include "shoal/rpc/reconnecting.h"

#include "kj/debug.h"

namespace shoal {
namespace {

class Reconnecting final: public capnp::Capability::Server {
public:
  Reconnecting(capnp::Capability::Client first, kj::Function<capnp::Capability::Client()> reconnect)
      : target(kj::mv(first)), reconnect(kj::mv(reconnect)) {}

  DispatchCallResult dispatchCall(
      uint64_t interfaceId, uint16_t methodId,
      capnp::CallContext<capnp::AnyPointer, capnp::AnyPointer> context) override {
    if (lost) {
      lost = false;
      ++generation;
      target = reconnect();
    }
    auto params = context.getParams();
    auto request = newRequest(interfaceId, methodId, params.targetSize());
    request.set(params);
    context.releaseParams();
#if CAPNP_VERSION < 1000000
    context.allowCancellation();
#endif
    DispatchCallResult result{context.tailCall(kj::mv(request)).catch_(noteLoss()), false};
#if CAPNP_VERSION >= 1000000
    result.allowCancellation = true;
#endif
    return result;
  }

private:
  capnp::Request<capnp::AnyPointer, capnp::AnyPointer> newRequest(uint64_t interfaceId,
                                                                  uint16_t methodId,
                                                                  capnp::MessageSize size) {
#if CAPNP_VERSION < 1000000
    return target.typelessRequest(interfaceId, methodId, size);
#else
    return target.typelessRequest(interfaceId, methodId, size, {});
#endif
  }

  kj::Function<void(kj::Exception&&)> noteLoss() {
    // A call of a connection that was replaced already says nothing of the new one.
    return [this, self = thisCap(), of = generation](kj::Exception&& exception) mutable {
      if (exception.getType() == kj::Exception::Type::DISCONNECTED && of == generation) {
        lost = true;
      }
      kj::throwRecoverableException(kj::mv(exception));
    };
  }

  capnp::Capability::Client target;
  kj::Function<capnp::Capability::Client()> reconnect;
  bool lost = false;
  uint64_t generation = 0;
};

}  // namespace

capnp::Capability::Client newReconnecting(capnp::Capability::Client first,
                                          kj::Function<capnp::Capability::Client()> reconnect) {
  return kj::heap<Reconnecting>(kj::mv(first), kj::mv(reconnect));
}

}  // namespace shoal
