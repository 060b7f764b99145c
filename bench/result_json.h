// Results for a program to read.
#pragma once

#include <string>
#include <vector>

#include "shoal/bench/machine.h"
#include "shoal/bench/result.h"

namespace shoal {

// A list of objects, one for each result, that each have the machine as well. A field without a
// value is null. Ends with an end of line.
std::string ToJson(const Machine& machine, const std::vector<Result>& results);

}  // namespace shoal
