#include "shoal/examples/calculator/listening.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace shoal::calculator {

std::string ListeningLine(std::string_view address, uint32_t port) {
  const std::string line = absl::StrCat("listening on ", std::string(address));
  const std::string suffix = absl::StrCat(":", port);
  if (port == 0 || absl::EndsWith(line, suffix)) return line;
  return absl::StrCat(absl::StripSuffix(line, ":0"), suffix);
}

}  // namespace shoal::calculator
