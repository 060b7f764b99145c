#include "shoal/bench/costs/costs.h"

#include <algorithm>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "shoal/bench/allocations.h"
#include "shoal/bench/costs/trace.h"
#include "shoal/bench/costs/works.h"
#include "shoal/bench/median.h"

namespace shoal {
namespace {

// Beyond the lap of a ring, and beyond what a first use of a pool or a page costs.
constexpr int kWarmUp = 1024;

// A multiple of what the event loop does between two looks at its sockets. Stepping takes 5 us an
// instruction, so it can have but a few operations.
constexpr uint64_t kCounted = 1024;
constexpr uint64_t kStepped = 3;

constexpr char kTracedRun[] = "--traced";

// The arguments of a traced run: kTracedRun, the work, sections, operations in each.
struct TracedRun {
  std::string work;
  uint64_t sections;
  uint64_t operations;
};

std::vector<std::string> ToArguments(const TracedRun& run) {
  return {kTracedRun, run.work, absl::StrCat(run.sections), absl::StrCat(run.operations)};
}

absl::Status Repeat(const Operation& operation, uint64_t times) {
  for (uint64_t i = 0; i < times; ++i) {
    if (absl::Status done = operation(); !done.ok()) {
      return done;
    }
  }
  return absl::OkStatus();
}

// An empty section first, which shows what the marks themselves cost.
absl::Status MeasureSections(const Operation& operation, const TracedRun& run) {
  if (absl::Status warm = Repeat(operation, kWarmUp); !warm.ok()) {
    return warm;
  }
  MarkSection();
  MarkSection();
  const uint64_t before = Allocations();
  for (uint64_t i = 0; i < run.sections; ++i) {
    MarkSection();
    absl::Status done = Repeat(operation, run.operations);
    MarkSection();
    if (!done.ok()) {
      return done;
    }
  }
  std::cout << Allocations() - before << std::endl;
  return absl::OkStatus();
}

absl::Status RunWork(const TracedRun& run) {
  for (const Work& work : GuardedWorks()) {
    if (work.name == run.work) {
      return work.run([&](const Operation& operation) { return MeasureSections(operation, run); });
    }
  }
  return absl::NotFoundError("there is no such work");
}

absl::StatusOr<Trace> TraceRun(const TracedRun& run, Counted counted) {
  absl::StatusOr<Trace> trace = TraceThisProgram(ToArguments(run), counted);
  if (!trace.ok()) {
    return absl::Status(trace.status().code(),
                        absl::StrCat(run.work, ": ", trace.status().message()));
  }
  if (counted == Counted::kNothing) {
    return trace;
  }
  if (trace->sections.size() != run.sections + 1) {
    return absl::InternalError(absl::StrCat(run.work, ": ", trace->sections.size(),
                                            " sections were counted, not ", run.sections + 1));
  }
  for (size_t i = 1; i < trace->sections.size(); ++i) {
    trace->sections[i] -= std::min(trace->sections[0], trace->sections[i]);
  }
  trace->sections.erase(trace->sections.begin());
  return trace;
}

absl::StatusOr<double> AllocationsOf(const Trace& trace) {
  uint64_t allocations;
  if (!absl::SimpleAtoi(absl::StripSuffix(trace.output, "\n"), &allocations)) {
    return absl::InternalError(absl::StrCat("'", trace.output, "' is no count of allocations"));
  }
  return static_cast<double>(allocations) / kCounted;
}

absl::StatusOr<Costs> MeasureUntraced(const std::string& work) {
  const auto run = TraceRun({work, 1, kCounted}, Counted::kNothing);
  if (!run.ok()) {
    return run.status();
  }
  const auto allocations = AllocationsOf(*run);
  if (!allocations.ok()) {
    return allocations.status();
  }
  return Costs{.work = work, .allocations = *allocations};
}

}  // namespace

absl::StatusOr<Costs> MeasureCosts(const std::string& work) {
  const auto calls = TraceRun({work, 1, kCounted}, Counted::kSystemCalls);
  if (absl::IsPermissionDenied(calls.status())) {
    return MeasureUntraced(work);
  }
  const auto steps = TraceRun({work, kStepped, 1}, Counted::kInstructions);
  for (const absl::Status& status : {calls.status(), steps.status()}) {
    if (!status.ok()) {
      return status;
    }
  }
  const auto allocations = AllocationsOf(*calls);
  if (!allocations.ok()) {
    return allocations.status();
  }
  return Costs{.work = work,
               .allocations = *allocations,
               .system_calls = static_cast<double>(calls->sections[0]) / kCounted,
               .instructions = static_cast<double>(Median(steps->sections))};
}

bool IsTracedRun(int argc, char** argv) { return argc == 5 && argv[1] == std::string(kTracedRun); }

int RunTraced(int argc, char** argv) {
  TracedRun run;
  if (!IsTracedRun(argc, argv) || !absl::SimpleAtoi(argv[3], &run.sections) ||
      !absl::SimpleAtoi(argv[4], &run.operations)) {
    std::cerr << "costs: not the arguments of a traced run\n";
    return 2;
  }
  run.work = argv[2];
  const absl::Status done = RunWork(run);
  if (!done.ok()) {
    std::cerr << "costs: " << run.work << ": " << done.message() << "\n";
    return 1;
  }
  return 0;
}

}  // namespace shoal
