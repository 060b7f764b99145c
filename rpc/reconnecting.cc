#include "shoal/rpc/reconnecting.h"

#include "kj/debug.h"

namespace shoal {
namespace {

class Reconnecting final: public capnp::Capability::Server {
public:
  using ReconnectIfLost = kj::Function<kj::Maybe<capnp::Capability::Client>()>;

  Reconnecting(capnp::Capability::Client first, ReconnectIfLost reconnectIfLost)
      : target(kj::mv(first)), reconnectIfLost(kj::mv(reconnectIfLost)) {}

  DispatchCallResult dispatchCall(
      uint64_t interfaceId, uint16_t methodId,
      capnp::CallContext<capnp::AnyPointer, capnp::AnyPointer> context) override {
    KJ_IF_MAYBE (successor, reconnectIfLost()) {
      target = kj::mv(*successor);
    }
    auto params = context.getParams();
    auto request = newRequest(interfaceId, methodId, params.targetSize());
    request.set(params);
    context.releaseParams();
#if CAPNP_VERSION < 1000000
    context.allowCancellation();
#endif
    DispatchCallResult result{context.tailCall(kj::mv(request)), false};
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

  capnp::Capability::Client target;
  ReconnectIfLost reconnectIfLost;
};

}  // namespace

capnp::Capability::Client newReconnecting(
    capnp::Capability::Client first,
    kj::Function<kj::Maybe<capnp::Capability::Client>()> reconnectIfLost) {
  return kj::heap<Reconnecting>(kj::mv(first), kj::mv(reconnectIfLost));
}

}  // namespace shoal
