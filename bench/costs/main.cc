// Counts what operations cost, and compares that with what is committed, or commits it.

#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "shoal/bench/costs/cost_values.h"
#include "shoal/bench/costs/costs.h"
#include "shoal/bench/costs/works.h"

ABSL_FLAG(std::string, values, "", "the file of committed costs");
ABSL_FLAG(std::string, only, "", "count only this work's");
ABSL_FLAG(bool, write, false, "write the file rather than compare with it");

namespace shoal {
namespace {

constexpr char kUsage[] =
    "counts the instructions, allocations and system calls of operations, and compares them with "
    "those in a file.\n"
    "  costs --values=FILE [--write] [--only=WORK]";

absl::StatusOr<CostValues> ReadValues(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return absl::NotFoundError(absl::StrCat("--values=", path, " cannot be read"));
  }
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return ParseCostValues(text);
}

absl::Status WriteValues(const std::string& path, const CostValues& values) {
  std::ofstream file(path);
  file << ToText(values);
  file.close();
  return file ? absl::OkStatus()
              : absl::PermissionDeniedError(absl::StrCat("--values=", path, " cannot be written"));
}

absl::StatusOr<CostValues> MeasureAll() {
  CostValues measured{.toolchain = ThisToolchain()};
  const std::string only = absl::GetFlag(FLAGS_only);
  for (const Work& work : GuardedWorks()) {
    if (!only.empty() && work.name != only) {
      continue;
    }
    absl::StatusOr<Costs> costs = MeasureCosts(work.name);
    if (!costs.ok()) {
      return costs.status();
    }
    measured.costs.push_back(*std::move(costs));
  }
  return measured;
}

absl::Status CompareWith(const CostValues& committed, const CostValues& measured) {
  const Comparison comparison = Compare(committed, measured);
  std::cout << comparison.table;
  if (!measured.costs.empty() && !measured.costs[0].instructions) {
    std::cout << "only allocations were counted: this system lets no process trace another; a "
                 "container needs the capability SYS_PTRACE for it\n";
  }
  for (const std::string& sentence : comparison.exceeded) {
    std::cout << "MORE: " << sentence << "\n";
  }
  return comparison.exceeded.empty()
             ? absl::OkStatus()
             : absl::OutOfRangeError(
                   "operations cost more than is committed; if that is worth it, `tools/costs "
                   "--write` commits what they cost now");
}

absl::Status Run() {
  const std::string path = absl::GetFlag(FLAGS_values);
  if (path.empty()) {
    return absl::InvalidArgumentError("--values=FILE is missing; see costs --help");
  }
  const absl::StatusOr<CostValues> measured = MeasureAll();
  if (!measured.ok()) {
    return measured.status();
  }
  if (absl::GetFlag(FLAGS_write)) {
    return WriteValues(path, *measured);
  }
  const absl::StatusOr<CostValues> committed = ReadValues(path);
  return committed.ok() ? CompareWith(*committed, *measured) : committed.status();
}

}  // namespace
}  // namespace shoal

int main(int argc, char* argv[]) {
  if (shoal::IsTracedRun(argc, argv)) {
    return shoal::RunTraced(argc, argv);
  }
  absl::SetProgramUsageMessage(shoal::kUsage);
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = shoal::Run();
  if (!status.ok()) {
    std::cerr << "costs: " << status.message() << "\n";
    return 1;
  }
  return 0;
}
