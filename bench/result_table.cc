#include "shoal/bench/result_table.h"

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace shoal {
namespace {

std::string Time(double ns) {
  if (ns < 1e4) {
    return absl::StrFormat("%.0f ns", ns);
  }
  return ns < 1e7 ? absl::StrFormat("%.1f us", ns / 1e3) : absl::StrFormat("%.1f ms", ns / 1e6);
}

std::string Size(uint64_t bytes) {
  if (bytes < 1024) {
    return absl::StrFormat("%d B", bytes);
  }
  return bytes < 1048576 ? absl::StrFormat("%d KiB", bytes / 1024)
                         : absl::StrFormat("%d MiB", bytes / 1048576);
}

constexpr char kNothing[] = "-";

std::string Or(std::optional<double> value, const char* format) {
  return value ? absl::StrFormat(*absl::ParsedFormat<'f'>::New(format), *value) : kNothing;
}

std::string Mark(Met met) {
  switch (met) {
    case Met::kYes:
      return "met";
    case Met::kNo:
      return "NOT met";
    case Met::kNone:
      break;
  }
  return "";
}

std::string Heading(const Machine& machine) {
  return absl::StrFormat(
      "%s; %s\n"
      "Cap'n Proto %s, Abseil %s, %s, %s\n"
      "client on CPU %d, server on CPU %d%s\n",
      machine.cpu, machine.kernel, machine.capnp, machine.abseil, machine.compiler,
      machine.compile_mode, machine.client_cpu, machine.server_cpu,
      machine.HasTwoCpus() ? "" : ": only one may be used, so nothing is measured across two");
}

std::string TargetOf(const Result& result) {
  if (result.target.empty()) {
    return "";
  }
  if (result.met == Met::kNone) {
    return absl::StrCat("  open: ", result.target);
  }
  const char* const of_what = result.quantity == Quantity::kCpu ? " of CPU = " : " = ";
  return absl::StrCat("  ", Mark(result.met), ": ",
                      result.limit_ns ? Time(*result.limit_ns) + of_what : "", result.target);
}

std::string TimesLine(const Result& result) {
  const auto time = [&](double ns) { return result.samples == 0 ? kNothing : Time(ns); };
  std::string line = absl::StrFormat("%-32s %-11s %8s %8d %9s %9s %9s %9s %8s%s %8s", result.work,
                                     result.transport, Size(result.size), result.samples,
                                     time(result.p50_ns), time(result.p99_ns), time(result.p999_ns),
                                     time(result.max_ns), Time(result.floor_ns),
                                     result.floor_moved ? "~" : " ", Or(result.ratio, "%.1f"));
  return absl::StrCat(line, TargetOf(result), "\n");
}

std::string Times(const std::vector<Result>& results) {
  std::string table =
      absl::StrFormat("%-32s %-11s %8s %8s %9s %9s %9s %9s %8s  %8s  %s\n", "work", "transport",
                      "size", "samples", "p50", "p99", "p99.9", "max", "floor", "ratio", "target");
  for (const Result& result : results) {
    if (!result.memory_bytes) {
      table += TimesLine(result);
    }
  }
  return table;
}

constexpr char kUsesLine[] = "%-32s %-11s %8s %8s %8s %8s %8s %8s %8s %8s %9s %12s %8s %8s\n";

std::string Uses(const std::vector<Result>& results) {
  std::string table =
      absl::StrFormat(kUsesLine, "work", "transport", "size", "allocs", "syscalls", "sleeps",
                      "parks", "rings", "faults", "copied", "CPU", "messages/s", "GB/s", "memory");
  const Result* last = nullptr;
  for (const Result& result : results) {
    // A work has a result for each of its targets.
    if (last != nullptr && std::tie(last->work, last->transport, last->size) ==
                               std::tie(result.work, result.transport, result.size)) {
      continue;
    }
    last = &result;
    absl::StrAppendFormat(
        &table, kUsesLine, result.work, result.transport, Size(result.size),
        Or(result.allocations, "%.2f"), Or(result.system_calls, "%.3f"), Or(result.sleeps, "%.3f"),
        Or(result.parks, "%.3f"), Or(result.rings, "%.3f"), Or(result.page_faults, "%.3f"),
        Or(result.copied_words, "%.0f"), result.cpu_ns ? Time(*result.cpu_ns) : kNothing,
        Or(result.messages_per_second, "%.0f"), Or(result.gigabytes_per_second, "%.2f"),
        result.memory_bytes ? Size(static_cast<uint64_t>(*result.memory_bytes)) : kNothing);
  }
  return table;
}

std::string Verdict(const std::vector<Result>& results) {
  const auto count = [&](Met met) {
    return std::count_if(results.begin(), results.end(),
                         [&](const Result& result) { return result.met == met; });
  };
  return absl::StrCat(count(Met::kYes), " of ", count(Met::kYes) + count(Met::kNo), " targets met");
}

}  // namespace

std::string ToTable(const Machine& machine, const std::vector<Result>& results) {
  return absl::StrCat(
      Heading(machine),
      "floor: a cache line there and back between the two CPUs, measured with each block; ~: it "
      "moved in every block\n"
      "ratio: the median to the floor, within a block\n\n",
      Times(results),
      "\nper operation, both processes together; parks and rings: how often a channel slept, and "
      "woke its peer; faults: of pages; copied: words of payload by a channel\n",
      Uses(results), "\n", Verdict(results), "\n");
}

}  // namespace shoal
