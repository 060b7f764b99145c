#include "shoal/rpc/exception.h"

#include <string>

#include "kj/string.h"

namespace shoal {
namespace {

kj::Exception::Type typeFor(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kj::Exception::Type::DISCONNECTED;
    case absl::StatusCode::kResourceExhausted:
      return kj::Exception::Type::OVERLOADED;
    default:
      return kj::Exception::Type::FAILED;
  }
}

}  // namespace

kj::Exception toException(const absl::Status& status, const char* file, int line) {
  return kj::Exception(typeFor(status), file, line,
                       kj::heapString(status.message().data(), status.message().size()));
}

}  // namespace shoal
