#pragma once
// A capability that is got anew when its connection was lost.

#include "capnp/capability.h"
#include "kj/function.h"

namespace shoal {

capnp::Capability::Client newReconnecting(
    capnp::Capability::Client first,
    kj::Function<kj::Maybe<capnp::Capability::Client>()> reconnectIfLost);
// Passes calls on to `first`, and from a call before which `reconnectIfLost` has given another
// capability to that; and so on. It is asked before each call, for a call's own exception says
// nothing of the connection: a method may throw one of any type. A call's parameters are copied
// once on their way through; its results are not. Flow control of `stream` methods ends here.

}  // namespace shoal
