// What the kernel's errors mean to a user.
#pragma once

#include <sys/resource.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace shoal {

// The status for the errno `error` of a system call that did `what` ("creating a socket").
//
// kResourceExhausted: descriptors, memory or space ran out; the text has the limit, its value and
// what to do. kPermissionDenied: this user may not. kInternal: anything else.
absl::Status SystemError(int error, std::string_view what);

// The value of a resource limit, RLIMIT_NOFILE for example, at which this process is refused.
std::string SoftLimit(decltype(RLIMIT_NOFILE) resource);

}  // namespace shoal
