#include "shoal/examples/calculator/evaluator.h"

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace shoal::calculator {
namespace {

using Step = Expression::Step;
using Operator = Expression::Operator;
using Failure = std::optional<Problem>;

Problem unknown(Step::Reader step) {
  return {step.getPosition(), "the calculator does not know this kind of step: it is older"};
}

class Evaluation {
 public:
  Evaluation(Expression::Reader expression, kj::ArrayPtr<const double> arguments)
      : steps(expression.getSteps()), arguments(arguments) {}
  KJ_DISALLOW_COPY(Evaluation);

  kj::Promise<Answer> run();
  // Does the steps from `next` on. The promise must not outlive this object.

 private:
  capnp::List<Step>::Reader steps;
  kj::ArrayPtr<const double> arguments;
  uint32_t next = 0;          // index of the first step that is not begun
  std::vector<double> stack;  // results that no step has taken yet

  Failure push(Step::Reader step);
  Failure operate(Step::Reader step);
  Failure require(Step::Reader step, size_t operands) const;
  kj::Promise<Answer> apply(Step::Reader step);
  kj::Promise<Answer> resume(Answer answer);
  Answer finish() const;
};

kj::Promise<Answer> Evaluation::run() {
  if (steps.size() > MAX_STEPS) {
    return Answer(Problem{steps[MAX_STEPS].getPosition(),
                          absl::StrCat("this is too long: it has ", steps.size(),
                                       " steps, and may have ", MAX_STEPS)});
  }
  while (next < steps.size()) {
    auto step = steps[next++];
    if (step.isApplication()) return apply(step);
    if (step.isValue()) {
      return step.getValue().getRequest().send().then(
          [this](auto&& response) { return resume(readAnswer(response.getOutcome())); });
    }
    if (auto failure = step.isOperator() ? operate(step) : push(step)) {
      return Answer(*std::move(failure));
    }
  }
  return finish();
}

Failure Evaluation::push(Step::Reader step) {
  if (step.isNumber()) {
    stack.push_back(step.getNumber());
    return std::nullopt;
  }
  if (!step.isParameter()) return unknown(step);
  if (step.getParameter() >= arguments.size()) {
    return Problem{step.getPosition(),
                   absl::StrCat("argument ", step.getParameter(), " is used where there are ",
                                arguments.size(), ", counted from 0")};
  }
  stack.push_back(arguments[step.getParameter()]);
  return std::nullopt;
}

Failure Evaluation::operate(Step::Reader step) {
  auto op = step.getOperator();
  size_t operands = op == Operator::NEGATE ? 1 : 2;
  if (auto failure = require(step, operands)) return failure;

  double right = stack.back();
  stack.resize(stack.size() - operands + 1);
  double& result = stack.back();  // also the left operand
  switch (op) {
    case Operator::ADD:
      result += right;
      return std::nullopt;
    case Operator::SUBTRACT:
      result -= right;
      return std::nullopt;
    case Operator::MULTIPLY:
      result *= right;
      return std::nullopt;
    case Operator::DIVIDE:
      result /= right;
      return std::nullopt;
    case Operator::POWER:
      result = std::pow(result, right);
      return std::nullopt;
    case Operator::NEGATE:
      result = -right;
      return std::nullopt;
  }
  return unknown(step);
}

Failure Evaluation::require(Step::Reader step, size_t operands) const {
  if (operands <= stack.size()) return std::nullopt;
  return Problem{step.getPosition(), absl::StrCat("this step takes more operands than there are: ",
                                                  operands, ", not ", stack.size())};
}

kj::Promise<Answer> Evaluation::apply(Step::Reader step) {
  auto application = step.getApplication();
  if (auto failure = require(step, application.getArguments())) return Answer(*std::move(failure));

  auto request = application.getFunction().applyRequest();
  request.setPosition(step.getPosition());
  auto list = request.initArguments(application.getArguments());
  size_t first = stack.size() - list.size();
  for (uint32_t i = 0; i < list.size(); ++i) list.set(i, stack[first + i]);
  stack.resize(first);
  return request.send().then(
      [this](auto&& response) { return resume(readAnswer(response.getOutcome())); });
}

kj::Promise<Answer> Evaluation::resume(Answer answer) {
  if (std::holds_alternative<Problem>(answer)) return answer;
  stack.push_back(std::get<double>(answer));
  return run();
}

Answer Evaluation::finish() const {
  if (stack.size() == 1) return stack.back();
  uint32_t position = steps.size() == 0 ? 0 : steps[steps.size() - 1].getPosition();
  return Problem{position, absl::StrCat("the last step leaves ", stack.size(),
                                        " results instead of one: the steps are not in order")};
}

}  // namespace

kj::Promise<Answer> evaluate(Expression::Reader expression, kj::ArrayPtr<const double> arguments) {
  auto evaluation = kj::heap<Evaluation>(expression, arguments);
  auto promise = evaluation->run();
  return promise.attach(kj::mv(evaluation));
}

}  // namespace shoal::calculator
