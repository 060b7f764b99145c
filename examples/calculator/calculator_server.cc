#include "shoal/examples/calculator/calculator_server.h"

#include "kj/debug.h"
#include "shoal/examples/calculator/answer.h"
#include "shoal/examples/calculator/builtin_functions.h"
#include "shoal/examples/calculator/evaluator.h"

namespace shoal::calculator {
namespace {

class Computed final : public Value::Server {
 public:
  explicit Computed(Answer answer) : answer(kj::mv(answer)) {}

  kj::Promise<void> get(GetContext context) override {
    writeAnswer(answer, context.getResults().initOutcome());
    return kj::READY_NOW;
  }

 private:
  const Answer answer;
};

}  // namespace

kj::Promise<void> CalculatorServer::compute(ComputeContext context) {
  if (unfinished == MAX_UNFINISHED) {
    return KJ_EXCEPTION(OVERLOADED, "the calculator has too many expressions under way already",
                        MAX_UNFINISHED);
  }
  ++unfinished;
  return evaluate(context.getParams().getExpression(), nullptr)
      .then([context](Answer&& answer) mutable {
        context.getResults().setValue(kj::heap<Computed>(kj::mv(answer)));
      })
      .attach(kj::defer([this]() { --unfinished; }));
}

kj::Promise<void> CalculatorServer::lookUp(LookUpContext context) {
  context.getResults().setFunction(builtinFunction(context.getParams().getName()));
  return kj::READY_NOW;
}

}  // namespace shoal::calculator
