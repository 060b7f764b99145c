#pragma once

// Hands a program to a calculator.

#include "kj/async.h"
#include "shoal/examples/calculator/answer.h"
#include "shoal/examples/calculator/calculator.capnp.h"
#include "shoal/examples/calculator/expression.h"

namespace shoal::calculator {

kj::Promise<Answer> submit(const Program& program, Calculator::Client calculator);
// Starts all calls that the program needs before it returns, each on promises of the values and
// functions that earlier ones give; so a program of any number of definitions takes one round trip,
// plus those that its own functions are called back for. `program` is not needed afterwards.
//
// Functions that the program defines are this process's: they answer for as long as the event loop
// runs, also to a calculator that kept them.
//
// The promise is rejected when the calculator can't be reached, goes away (DISCONNECTED) or has too
// much to do (OVERLOADED).

}  // namespace shoal::calculator
