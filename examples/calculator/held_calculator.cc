#include "shoal/examples/calculator/held_calculator.h"

namespace shoal::calculator {

HeldCalculator::HeldCalculator(uint32_t calls, kj::Function<void(kj::StringPtr)> arrived)
    : missing(calls), arrived(kj::mv(arrived)) {}

kj::Promise<void> HeldCalculator::compute(ComputeContext context) {
  return hold("compute").then([this, context]() mutable {
    auto request = calculator.computeRequest();
    request.setExpression(context.getParams().getExpression());
    return context.tailCall(kj::mv(request));
  });
}

kj::Promise<void> HeldCalculator::lookUp(LookUpContext context) {
  return hold("lookUp").then([this, context]() mutable {
    auto request = calculator.lookUpRequest();
    request.setName(context.getParams().getName());
    return context.tailCall(kj::mv(request));
  });
}

kj::Promise<void> HeldCalculator::hold(kj::StringPtr call) {
  arrived(call);
  if (missing > 0) --missing;
  auto answer = kj::newPromiseAndFulfiller<void>();
  held.push_back(kj::mv(answer.fulfiller));
  if (missing == 0) {
    for (auto& fulfiller : held) fulfiller->fulfill();
    held.clear();
  }
  return kj::mv(answer.promise);
}

}  // namespace shoal::calculator
