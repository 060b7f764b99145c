// Results for a person to read.
#pragma once

#include <string>
#include <vector>

#include "shoal/bench/machine.h"
#include "shoal/bench/result.h"

namespace shoal {

// A line for each result under a heading, then what an operation uses, then a line that says how
// many targets are met: "N of M targets met". Ends with an end of line. Results of the same work
// stand beside each other.
std::string ToTable(const Machine& machine, const std::vector<Result>& results);

}  // namespace shoal
