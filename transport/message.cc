#include "shoal/transport/message.h"

#include "kj/exception.h"

namespace shoal {
namespace {

[[noreturn]] void Throw(const char* text) {
  kj::throwFatalException(
      kj::Exception(kj::Exception::Type::FAILED, __FILE__, __LINE__, kj::heapString(text)));
}

}  // namespace

void OutgoingMessage::ThrowNoMessage() {
  Throw("the message was published or moved away before; claim another");
}

void OutgoingMessage::ThrowPublished() {
  Throw(
      "the message was published before, by another handle, and must not be changed; claim "
      "another, "
      "and copy its root");
}

}  // namespace shoal
