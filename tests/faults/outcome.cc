#include "shoal/tests/faults/outcome.h"

#include "absl/strings/str_cat.h"

namespace shoal::faults {

void ExpectGone(Outcome& outcome, const absl::Status& status, pid_t victim, std::string_view who) {
  const std::string text = status.ToString();
  const bool names_it = text.find(absl::StrCat("(pid ", victim, ")")) != std::string::npos;
  outcome.Expect(absl::IsUnavailable(status) && names_it,
                 absl::StrCat(std::string(who), " was told: ", text));
}

void ExpectAllDelivered(Outcome& outcome, uint64_t published, uint64_t begun) {
  outcome.Expect(outcome.delivered >= published && outcome.delivered <= begun,
                 absl::StrCat(outcome.delivered, " messages came; ", published,
                              " were published, and ", begun, " begun"));
}

}  // namespace shoal::faults
