#include "shoal/bench/costs/cost_values.h"

#include <gnu/libc-version.h>

#include <algorithm>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "shoal/bench/machine.h"

namespace shoal {
namespace {

constexpr char kComment[] =
    "# What an operation costs: work, instructions, allocations, system calls.\n"
    "# Written by `tools/costs --write`; instructions hold for this toolchain alone.\n";
constexpr char kToolchain[] = "toolchain\t";
constexpr char kNotCounted[] = "-";

#if defined(__x86_64__)
constexpr char kArchitecture[] = "x86-64";
#elif defined(__aarch64__)
constexpr char kArchitecture[] = "arm64";
#else
constexpr char kArchitecture[] = "another architecture";
#endif

std::string Number(std::optional<double> value) {
  return value ? absl::StrFormat("%.8g", *value) : kNotCounted;
}

// Whether `text` is a number, or says that there is none, which `*value` is then.
bool ParseNumber(absl::string_view text, std::optional<double>* value) {
  double number;
  if (text == kNotCounted) {
    *value = std::nullopt;
    return true;
  }
  if (!absl::SimpleAtod(text, &number)) {
    return false;
  }
  *value = number;
  return true;
}

// Nothing where the line is no work's.
std::optional<Costs> ParseCosts(absl::string_view line) {
  const std::vector<std::string> fields = absl::StrSplit(line, '\t');
  Costs costs = {};
  std::optional<double> allocations;
  if (fields.size() != 4 || !ParseNumber(fields[1], &costs.instructions) ||
      !ParseNumber(fields[2], &allocations) || !allocations ||
      !ParseNumber(fields[3], &costs.system_calls)) {
    return std::nullopt;
  }
  costs.work = fields[0];
  costs.allocations = *allocations;
  return costs;
}

const Costs* Find(const CostValues& values, const std::string& work) {
  const auto found = std::find_if(values.costs.begin(), values.costs.end(),
                                  [&](const Costs& costs) { return costs.work == work; });
  return found == values.costs.end() ? nullptr : &*found;
}

std::string Change(std::optional<double> before, std::optional<double> after) {
  if (!before || !after || *before == 0) {
    return "";
  }
  return absl::StrFormat("%+.2f %%", (*after / *before - 1) * 100);
}

std::string Row(const Costs& before, const Costs& after) {
  return absl::StrFormat("%-30s %12s %12s %9s %12s %12s %12s %12s\n", after.work,
                         Number(before.instructions), Number(after.instructions),
                         Change(before.instructions, after.instructions),
                         Number(before.allocations), Number(after.allocations),
                         Number(before.system_calls), Number(after.system_calls));
}

class Judge {
 public:
  explicit Judge(const std::string& work) : work_(work) {}

  void Add(const char* what, std::optional<double> before, std::optional<double> after,
           double limit) {
    if (before && after && *after > limit) {
      exceeded_.push_back(absl::StrFormat("%s: %.8g %s an operation, committed are %.8g", work_,
                                          *after, what, *before));
    }
  }

  std::vector<std::string> Take() { return std::move(exceeded_); }

 private:
  const std::string& work_;
  std::vector<std::string> exceeded_;
};

std::vector<std::string> Exceeded(const Costs& before, const Costs& after,
                                  bool judge_instructions) {
  Judge judge(after.work);
  if (judge_instructions) {
    judge.Add("instructions", before.instructions, after.instructions,
              before.instructions.value_or(0) * (1 + kInstructionsTolerance));
  }
  judge.Add("allocations", before.allocations, after.allocations,
            before.allocations + kCallsTolerance);
  judge.Add("system calls", before.system_calls, after.system_calls,
            before.system_calls.value_or(0) + kCallsTolerance);
  return judge.Take();
}

}  // namespace

std::string ThisToolchain() {
  const Machine machine = ThisMachine(0, 0);
  return absl::StrCat(machine.compiler, ", ", machine.compile_mode, ", glibc ",
                      gnu_get_libc_version(), ", Cap'n Proto ", machine.capnp, ", Abseil ",
                      machine.abseil, ", ", kArchitecture);
}

std::string ToText(const CostValues& values) {
  std::string text = absl::StrCat(kComment, kToolchain, values.toolchain, "\n");
  for (const Costs& costs : values.costs) {
    absl::StrAppend(&text, costs.work, "\t", Number(costs.instructions), "\t",
                    Number(costs.allocations), "\t", Number(costs.system_calls), "\n");
  }
  return text;
}

absl::StatusOr<CostValues> ParseCostValues(std::string_view text) {
  CostValues values;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    ++number;
    if (line.empty() || line[0] == '#') {
      continue;
    }
    if (absl::ConsumePrefix(&line, kToolchain)) {
      values.toolchain = std::string(line);
      continue;
    }
    const std::optional<Costs> costs = ParseCosts(line);
    if (!costs) {
      return absl::InvalidArgumentError(absl::StrCat(
          "line ", number, ", '", line, "', is not a work and three numbers between tabs"));
    }
    values.costs.push_back(*costs);
  }
  return values;
}

Comparison Compare(const CostValues& committed, const CostValues& measured) {
  const bool judge_instructions = committed.toolchain == measured.toolchain;
  Comparison comparison;
  comparison.table = absl::StrCat(
      "committed with ", committed.toolchain, "\nmeasured with  ", measured.toolchain,
      judge_instructions ? "\n\n" : ": another toolchain, so instructions are not judged\n\n",
      absl::StrFormat("%-30s %12s %12s %9s %12s %12s %12s %12s\n", "work", "instructions", "now",
                      "", "allocations", "now", "system calls", "now"));
  for (const Costs& after : measured.costs) {
    const Costs* before = Find(committed, after.work);
    if (before == nullptr) {
      comparison.exceeded.push_back(absl::StrCat(after.work, ": nothing is committed for it"));
      continue;
    }
    comparison.table += Row(*before, after);
    for (std::string& sentence : Exceeded(*before, after, judge_instructions)) {
      comparison.exceeded.push_back(std::move(sentence));
    }
  }
  for (const Costs& before : committed.costs) {
    if (Find(measured, before.work) == nullptr) {
      comparison.exceeded.push_back(absl::StrCat(before.work, ": committed, and not measured"));
    }
  }
  return comparison;
}

}  // namespace shoal
