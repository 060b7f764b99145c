#pragma once
// A capability that is got anew when its connection was lost.

#include "capnp/capability.h"
#include "kj/function.h"

namespace shoal {

capnp::Capability::Client newReconnecting(capnp::Capability::Client first,
                                          kj::Function<capnp::Capability::Client()> reconnect);
// Passes calls on to `first` and, after a call has failed with an exception of type DISCONNECTED,
// to what `reconnect` gives when the next one comes; and so on. A call's parameters are copied once
// on their way through; its results are not. Flow control of `stream` methods ends here.

}  // namespace shoal
