// Writes the seeds of seeds.cc to tests/fuzz/corpus, a file each.
// usage: bazel run //tests/fuzz:write_seeds
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "shoal/tests/fuzz/targets.h"

int main() {
  const char* const workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  if (workspace == nullptr) {
    std::fputs("write_seeds: start it with `bazel run //tests/fuzz:write_seeds`\n", stderr);
    return 2;
  }
  for (const shoal::fuzz::Target& target : shoal::fuzz::kTargets) {
    const auto folder = std::filesystem::path(workspace) / "tests/fuzz/corpus" / target.name;
    std::filesystem::create_directories(folder);
    for (const shoal::fuzz::Seed& seed : target.seeds()) {
      std::ofstream file(folder / ("seed-" + seed.name), std::ios::binary);
      file.write(reinterpret_cast<const char*>(seed.bytes.data()),
                 static_cast<std::streamsize>(seed.bytes.size()));
    }
  }
}
