#include "shoal/tests/faults/kill.h"

#include "absl/strings/str_cat.h"
#include "shoal/tests/faults/census.h"

namespace shoal::faults {

void ExpectRest(Outcome& outcome, absl::Duration duration, const std::function<void()>& wait) {
  if (duration == absl::ZeroDuration()) {
    return;
  }
  outcome.Expect(ComesToRest(duration, wait), absl::StrCat("it took CPU when it was to rest for ",
                                                           absl::FormatDuration(duration)));
}

}  // namespace shoal::faults
