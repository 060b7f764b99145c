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

// kFailedPrecondition: the system, or a filter over this process, refuses `call` ("memfd_create"),
// which `what` cannot do without. Says what to do instead.
absl::Status CallRefused(int error, std::string_view call, std::string_view what);

// The one of the two that `error` stands for: CallRefused() if IsRefusal(error).
absl::Status CallFailed(int error, std::string_view call, std::string_view what);

// Whether `error` is what a system answers that does not have a call, or a filter that forbids it.
bool IsRefusal(int error);

// The value of a resource limit, RLIMIT_NOFILE for example, at which this process is refused.
std::string SoftLimit(decltype(RLIMIT_NOFILE) resource);

}  // namespace shoal
