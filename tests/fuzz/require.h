// What must hold whatever a peer does.
#pragma once

#include <initializer_list>
#include <string_view>

#include "absl/status/status.h"

namespace shoal::fuzz {

// Ends the process, as a crash does for a fuzzer, with `what` on standard error.
[[noreturn]] void Fail(std::string_view what, std::string_view found);

// `what` must hold.
inline void Require(bool holds, std::string_view what) {
  if (!holds) {
    Fail(what, "it does not hold");
  }
}

// `status` must be OK or one of `codes`, and say something.
void RequireOneOf(const absl::Status& status, std::initializer_list<absl::StatusCode> codes,
                  std::string_view what);

// The descriptors that this process has open must be as many when this ends as when it began.
class SameDescriptors {
 public:
  SameDescriptors();
  SameDescriptors(const SameDescriptors&) = delete;
  SameDescriptors& operator=(const SameDescriptors&) = delete;
  ~SameDescriptors();

 private:
  const int before_;
};

}  // namespace shoal::fuzz
