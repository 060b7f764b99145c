#pragma once

// The functions that the calculator has of its own.

#include <string>

#include "shoal/examples/calculator/calculator.capnp.h"

namespace shoal::calculator {

Function::Client builtinFunction(kj::StringPtr name);
// A wrong number of arguments is a Problem at the position of the call. So is each call of a
// function whose name is unknown; the message then lists the names that are known.
//
// Where a function has no real value the answer is nan, such as that of sqrt(-1).

std::string builtinNames();
// All of them in alphabetical order, for a person to read: "abs, ceil, cos".

}  // namespace shoal::calculator
