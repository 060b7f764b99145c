#include "shoal/examples/calculator/defined_function.h"

#include "absl/strings/str_cat.h"
#include "shoal/examples/calculator/answer.h"
#include "shoal/examples/calculator/evaluator.h"

namespace shoal::calculator {

DefinedFunction::DefinedFunction(std::string name, uint32_t parameters)
    : name(kj::mv(name)), parameters(parameters) {}

Expression::Builder DefinedFunction::getBody() {
  return capabilities.imbue(message.getRoot<capnp::AnyPointer>()).getAs<Expression>();
}

kj::Promise<void> DefinedFunction::apply(ApplyContext context) {
  auto given = context.getParams().getArguments();
  if (given.size() != parameters) {
    writeAnswer(Problem{context.getParams().getPosition(),
                        absl::StrCat("wrong number of arguments: '", name, "' takes ", parameters,
                                     ", not ", given.size())},
                context.getResults().initOutcome());
    return kj::READY_NOW;
  }

  auto arguments = kj::heapArray<double>(given.begin(), given.end());
  auto answer = evaluate(getBody(), arguments);
  return answer.attach(kj::mv(arguments)).then([context](Answer&& answer) mutable {
    writeAnswer(answer, context.getResults().initOutcome());
  });
}

}  // namespace shoal::calculator
