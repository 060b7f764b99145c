#pragma once
// A transport's errors as KJ's.

#include "absl/status/status.h"
#include "kj/exception.h"

namespace shoal {

kj::Exception toException(const absl::Status& status, const char* file, int line);
// The exception that says what `status`, which is not OK, says. A peer that is gone, and a server
// that cannot be reached in time, are DISCONNECTED; a limit that was reached is OVERLOADED;
// everything else is FAILED.

#define SHOAL_EXCEPTION(status) ::shoal::toException(status, __FILE__, __LINE__)
// With the place where it was noticed, as KJ_EXCEPTION does.

}  // namespace shoal
