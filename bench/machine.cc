#include "shoal/bench/machine.h"

#include <sys/utsname.h>

#include <fstream>

#include "absl/base/config.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "capnp/common.h"

namespace shoal {
namespace {

constexpr char kUnknown[] = "unknown";

std::string CpuModel() {
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string line; std::getline(cpus, line);) {
    const size_t colon = line.find(": ");
    if (absl::StartsWith(line, "model name") && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return kUnknown;
}

std::string Kernel() {
  utsname names;
  return uname(&names) == 0 ? absl::StrCat(names.sysname, " ", names.release, " ", names.machine)
                            : kUnknown;
}

std::string Abseil() {
#ifdef ABSL_LTS_RELEASE_VERSION
  return absl::StrCat(ABSL_LTS_RELEASE_VERSION, ".", ABSL_LTS_RELEASE_PATCH_LEVEL);
#else
  return "head";
#endif
}

std::string Compiler() {
#ifdef __clang__
  return absl::StrCat("clang ", __clang_major__, ".", __clang_minor__);
#else
  return absl::StrCat("g++ ", __GNUC__, ".", __GNUC_MINOR__);
#endif
}

constexpr bool IsOptimised() {
#if defined(__OPTIMIZE__) && defined(NDEBUG)
  return true;
#else
  return false;
#endif
}

}  // namespace

Machine ThisMachine(int client_cpu, int server_cpu) {
  return {.cpu = CpuModel(),
          .kernel = Kernel(),
          .capnp =
              absl::StrCat(CAPNP_VERSION_MAJOR, ".", CAPNP_VERSION_MINOR, ".", CAPNP_VERSION_MICRO),
          .abseil = Abseil(),
          .compiler = Compiler(),
          .compile_mode = IsOptimised() ? "optimised" : "not optimised",
          .client_cpu = client_cpu,
          .server_cpu = server_cpu};
}

}  // namespace shoal
