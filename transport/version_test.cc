#include "shoal/transport/version.h"

#include <fstream>
#include <iterator>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace shoal {
namespace {

TEST(Version, IsThatOfTheModule) {
  std::ifstream file("MODULE.bazel");
  const std::string module(std::istreambuf_iterator<char>(file), {});
  EXPECT_THAT(module, testing::HasSubstr("    name = \"shoal\",\n    version = \"" +
                                         std::string(kVersion) + "\",\n"));
}

}  // namespace
}  // namespace shoal
