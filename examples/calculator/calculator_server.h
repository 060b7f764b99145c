#pragma once

// The main interface of the calculator's server.

#include <cstdint>

#include "shoal/examples/calculator/calculator.capnp.h"

namespace shoal::calculator {

constexpr uint32_t MAX_UNFINISHED = 1'000;
// How many expressions a calculator has under way at once, for all its callers together. One that
// waits for a value or a function of its caller's is under way until that answers or the caller
// disconnects, so this bounds what such callers hold. One more is refused as OVERLOADED.

class CalculatorServer final : public Calculator::Server {
 public:
  kj::Promise<void> compute(ComputeContext context) override;
  kj::Promise<void> lookUp(LookUpContext context) override;

 private:
  uint32_t unfinished = 0;  // expressions under way
};

}  // namespace shoal::calculator
