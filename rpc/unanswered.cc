#include "shoal/rpc/unanswered.h"

#include "capnp/rpc.capnp.h"

namespace shoal {

void Unanswered::received(capnp::AnyPointer::Reader message) {
  const auto which = message.getAs<capnp::rpc::Message>().which();
  if (which == capnp::rpc::Message::CALL || which == capnp::rpc::Message::BOOTSTRAP) {
    ++count;
  }
}

void Unanswered::sent(capnp::AnyPointer::Reader message) {
  if (message.getAs<capnp::rpc::Message>().which() == capnp::rpc::Message::RETURN && count > 0) {
    --count;
  }
}

}  // namespace shoal
