#pragma once

// A calculator that shows a test which calls arrive before it answers the first.

#include <cstdint>
#include <vector>

#include "kj/async.h"
#include "kj/function.h"
#include "shoal/examples/calculator/calculator.capnp.h"
#include "shoal/examples/calculator/calculator_server.h"

namespace shoal::calculator {

class HeldCalculator final : public Calculator::Server {
 public:
  HeldCalculator(uint32_t calls, kj::Function<void(kj::StringPtr)> arrived);
  // Answers no call before as many have arrived; from then on all, as CalculatorServer does.
  // `arrived` is called with the name of each, before it is answered.

  kj::Promise<void> compute(ComputeContext context) override;
  kj::Promise<void> lookUp(LookUpContext context) override;

 private:
  uint32_t missing;  // calls that have yet to arrive before the first is answered
  kj::Function<void(kj::StringPtr)> arrived;
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> held;  // the calls to be answered then
  Calculator::Client calculator = kj::heap<CalculatorServer>();

  kj::Promise<void> hold(kj::StringPtr call);
};

}  // namespace shoal::calculator
