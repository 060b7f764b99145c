#include "shoal/tests/faults/kill.h"

#include "absl/strings/str_cat.h"
#include "shoal/tests/faults/census.h"

namespace shoal::faults {

void ExpectRest(Outcome& outcome, absl::Duration duration, const std::function<void()>& wait) {
  if (duration == absl::ZeroDuration()) {
    return;
  }
  const double used = CpuSecondsDuring(wait);
  outcome.Expect(
      used < absl::ToDoubleSeconds(duration) / 2,
      absl::StrCat("at rest for ", absl::FormatDuration(duration), " it took ", used, " s of CPU"));
}

}  // namespace shoal::faults
