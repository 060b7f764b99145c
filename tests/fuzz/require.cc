#include "shoal/tests/fuzz/require.h"

#include <dirent.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"

namespace shoal::fuzz {
namespace {

int OpenDescriptors() {
  DIR* const folder = opendir("/proc/self/fd");
  int count = 0;
  while (folder != nullptr && readdir(folder) != nullptr) {
    ++count;
  }
  closedir(folder);
  return count;
}

}  // namespace

void Fail(std::string_view what, std::string_view found) {
  std::fprintf(stderr, "required: %.*s; found: %.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(found.size()), found.data());
  std::abort();
}

void RequireOneOf(const absl::Status& status, std::initializer_list<absl::StatusCode> codes,
                  std::string_view what) {
  if (status.ok()) {
    return;
  }
  if (std::find(codes.begin(), codes.end(), status.code()) == codes.end()) {
    Fail(what, status.ToString());
  }
  Require(!status.message().empty(), "an error says what happened");
}

SameDescriptors::SameDescriptors() : before_(OpenDescriptors()) {}

SameDescriptors::~SameDescriptors() {
  const int after = OpenDescriptors();
  if (after != before_) {
    Fail("all descriptors are closed in the end",
         absl::StrCat(before_, " before, ", after, " now"));
  }
}

}  // namespace shoal::fuzz
