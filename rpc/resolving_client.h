#pragma once
// A capability that is promised, and no longer in the way once it is there.

#include "capnp/capability.h"
#include "kj/async.h"

namespace shoal {

capnp::Capability::Client newResolvingClient(kj::Promise<capnp::Capability::Client> promise);
// Calls wait for the promise, in order, and go to what it gives. Cap'n Proto's own conversion of a
// promise to a capability builds every call on the heap and copies it, also when the promise has
// long been kept (0.9.2); here a call that is begun then is built where its receiver has it built.

}  // namespace shoal
