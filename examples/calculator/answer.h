#pragma once

// What a computation comes to, in memory and in a message.

#include <variant>

#include "shoal/examples/calculator/calculator.capnp.h"
#include "shoal/examples/calculator/problem.h"

namespace shoal::calculator {

using Answer = std::variant<double, Problem>;

Answer readAnswer(Outcome::Reader outcome);
// A copy, which does not need the message any more. The peer may have sent any position and any
// text. What a newer peer may send and this one does not know is a Problem at position 0.

void writeAnswer(const Answer& answer, Outcome::Builder outcome);
// Bytes of a Problem's message that are not UTF-8 are sent as they are.

}  // namespace shoal::calculator
