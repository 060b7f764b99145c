// Calls that may be canceled, in every version of Cap'n Proto.
#pragma once

#include <cstdint>

#include "capnp/capability.h"
#include "capnp/common.h"

namespace shoal {

// `Server`, all of whose calls are canceled when their callers drop them. Otherwise a call runs on.
template <typename Server>
class Cancelable final : public Server {
 public:
  using Server::Server;

  capnp::Capability::Server::DispatchCallResult dispatchCall(
      uint64_t interface_id, uint16_t method_id,
      capnp::CallContext<capnp::AnyPointer, capnp::AnyPointer> context) override {
#if CAPNP_VERSION < 1000000
    context.allowCancellation();
    return Server::dispatchCall(interface_id, method_id, context);
#else
    auto result = Server::dispatchCall(interface_id, method_id, context);
    result.allowCancellation = true;
    return result;
#endif
  }
};

}  // namespace shoal
