#pragma once
// The calls of a peer that have not been answered yet.

#include "capnp/any.h"

namespace shoal {

class Unanswered {
  // Told from the messages that pass over a connection, of which each one that asks something is
  // answered once: a Call or a Bootstrap with a Return.

public:
  void received(capnp::AnyPointer::Reader message);
  void sent(capnp::AnyPointer::Reader message);

  bool none() const { return count == 0; }

private:
  uint64_t count = 0;
};

}  // namespace shoal
