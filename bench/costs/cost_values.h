// The costs that are committed, and what measured ones are beside them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "shoal/bench/costs/costs.h"

namespace shoal {

struct CostValues {
  // What instructions depend on besides our code, see ThisToolchain().
  std::string toolchain = {};
  std::vector<Costs> costs = {};

  bool operator==(const CostValues&) const = default;
};

// Compiler, libraries and architecture that this program was compiled with and runs on.
std::string ThisToolchain();

// Text that is read well and differs well: comments, a line with the toolchain, a line for each
// work with its name, instructions, allocations and system calls, between them tabs; "-" for what
// was not counted.
std::string ToText(const CostValues& values);

// kInvalidArgument names the line that is not as ToText() writes it.
absl::StatusOr<CostValues> ParseCostValues(std::string_view text);

struct Comparison {
  std::string table;                  // both, beside each other
  std::vector<std::string> exceeded;  // a sentence for each cost that has grown
};

// How much more than committed is no growth. A program's counts are the same in every run; another
// kernel's vDSO and patches of the libraries change them a little.
constexpr double kInstructionsTolerance = 0.01;

// An allocation or a system call in a hundred operations.
constexpr double kCallsTolerance = 0.01;

// Allocations and system calls are judged always, instructions where both toolchains are the same.
// A work that has not been committed, or was not measured, is exceeded.
Comparison Compare(const CostValues& committed, const CostValues& measured);

}  // namespace shoal
