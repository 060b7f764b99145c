#pragma once

// Computes expressions: the calculator does so for its callers, and a client for the functions that
// it defines.

#include <cstdint>

#include "kj/async.h"
#include "shoal/examples/calculator/answer.h"
#include "shoal/examples/calculator/calculator.capnp.h"

namespace shoal::calculator {

constexpr uint32_t MAX_STEPS = 300'000;
// How many steps an expression may have, which bounds the time that one takes from the others and
// the memory of the stack. It is more than a text of 128 KiB has, the longest that Linux accepts as
// an argument of a program.

kj::Promise<Answer> evaluate(Expression::Reader expression, kj::ArrayPtr<const double> arguments);
// The steps are done in order, one at a time: a step that calls a value or a function waits for its
// answer. Numbers follow IEEE 754, so 1 / 0 is inf and 0 / 0 is nan.
//
// `arguments` are those of the function that the expression is the body of. Both parameters must
// stay valid until the promise is resolved or dropped.
//
// The expression may come from a peer that is not trusted. What is wrong with it, also with its
// form (a stack that runs empty, an unknown step, too many steps), is a Problem at the position of
// the step. The promise is rejected only when a call to a value or a function is.

}  // namespace shoal::calculator
