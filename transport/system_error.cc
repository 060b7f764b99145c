#include "shoal/transport/system_error.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace shoal {

absl::Status SystemError(int error, std::string_view what) {
  const std::string text = absl::StrCat(std::string(what), ": ", strerror(error));
  switch (error) {
    case EMFILE:
      return absl::ResourceExhaustedError(
          absl::StrCat(text, "; RLIMIT_NOFILE is ", SoftLimit(RLIMIT_NOFILE),
                       ": raise it (ulimit -n) or close descriptors"));
    case ENFILE:
      return absl::ResourceExhaustedError(
          absl::StrCat(text, "; the system can open no more: raise fs.file-max"));
    case ENOMEM:
    case ENOBUFS:
      return absl::ResourceExhaustedError(absl::StrCat(text, ": free memory or ask for less"));
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(absl::StrCat(text, ": free space or ask for less"));
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(
          absl::StrCat(text, "; this process's user id is ", geteuid()));
    default:
      return absl::InternalError(text);
  }
}

absl::Status CallRefused(int error, std::string_view call, std::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat(
      std::string(what), ": the system refuses ", std::string(call), " (", strerror(error),
      "), without which there is no shm: allow it (seccomp, the container's profile), update the "
      "kernel (5.1 or newer), or use unix: or TCP"));
}

absl::Status CallFailed(int error, std::string_view call, std::string_view what) {
  return IsRefusal(error) ? CallRefused(error, call, what) : SystemError(error, what);
}

bool IsRefusal(int error) { return error == EPERM || error == EINVAL || error == ENOSYS; }

std::string SoftLimit(decltype(RLIMIT_NOFILE) resource) {
  rlimit limit{};
  getrlimit(resource, &limit);
  return limit.rlim_cur == RLIM_INFINITY ? "unlimited" : absl::StrCat(limit.rlim_cur);
}

}  // namespace shoal
