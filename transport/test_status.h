// What a test expects of an absl::Status or an absl::StatusOr.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"

namespace shoal {

inline absl::Status StatusOf(const absl::Status& status) { return status; }

template <typename T>
absl::Status StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

MATCHER(Succeeds, "is OK") {
  *result_listener << "which is " << StatusOf(arg).ToString();
  return arg.ok();
}

// `code` is an absl::StatusCode, `text` a part of the message.
MATCHER_P2(Fails, code, text, "") {
  const absl::Status status = StatusOf(arg);
  *result_listener << "which is " << status.ToString();
  const std::string message(status.message().data(), status.message().size());
  return status.code() == code && message.find(text) != message.npos;
}

}  // namespace shoal
