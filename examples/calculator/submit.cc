#include "shoal/examples/calculator/submit.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "shoal/examples/calculator/defined_function.h"

namespace shoal::calculator {
namespace {

class Submission {
 public:
  explicit Submission(Calculator::Client calculator) : calculator(kj::mv(calculator)) {}
  KJ_DISALLOW_COPY(Submission);

  void define(const Definition& definition);
  // From here on, steps may use the definition of the next index.

  Value::Client compute(const std::vector<Step>& steps);
  // The value that the calculator will have computed.

 private:
  using Object = std::variant<Value::Client, Function::Client>;

  Calculator::Client calculator;
  std::vector<Object> definitions;
  std::map<std::string, Function::Client> builtins;  // those looked up so far, by name

  Function::Client find(const Application& application);

  void write(const std::vector<Step>& steps, Expression::Builder expression);
  void write(double number, Expression::Step::Builder step);
  void write(Parameter parameter, Expression::Step::Builder step);
  void write(DefinedValue value, Expression::Step::Builder step);
  void write(Expression::Operator op, Expression::Step::Builder step);
  void write(const Application& application, Expression::Step::Builder step);
};

void Submission::define(const Definition& definition) {
  if (!definition.parameters) {
    definitions.emplace_back(compute(definition.steps));
    return;
  }
  auto function = kj::heap<DefinedFunction>(definition.name, *definition.parameters);
  write(definition.steps, function->getBody());
  definitions.emplace_back(Function::Client(kj::mv(function)));
}

Value::Client Submission::compute(const std::vector<Step>& steps) {
  auto request = calculator.computeRequest();
  write(steps, request.initExpression());
  return request.send().getValue();
}

Function::Client Submission::find(const Application& application) {
  if (application.definition) {
    return std::get<Function::Client>(definitions[*application.definition]);
  }
  auto known = builtins.find(application.name);
  if (known != builtins.end()) return known->second;

  auto request = calculator.lookUpRequest();
  request.setName(application.name.c_str());
  return builtins.emplace(application.name, request.send().getFunction()).first->second;
}

void Submission::write(const std::vector<Step>& steps, Expression::Builder expression) {
  auto list = expression.initSteps(steps.size());
  for (uint32_t i = 0; i < list.size(); ++i) {
    auto step = list[i];
    step.setPosition(steps[i].position);
    std::visit([this, step](auto& action) { write(action, step); }, steps[i].action);
  }
}

void Submission::write(double number, Expression::Step::Builder step) { step.setNumber(number); }

void Submission::write(Parameter parameter, Expression::Step::Builder step) {
  step.setParameter(parameter.index);
}

void Submission::write(DefinedValue value, Expression::Step::Builder step) {
  step.setValue(std::get<Value::Client>(definitions[value.index]));
}

void Submission::write(Expression::Operator op, Expression::Step::Builder step) {
  step.setOperator(op);
}

void Submission::write(const Application& application, Expression::Step::Builder step) {
  auto group = step.initApplication();
  group.setFunction(find(application));
  group.setArguments(application.arguments);
}

}  // namespace

kj::Promise<Answer> submit(const Program& program, Calculator::Client calculator) {
  auto submission = kj::heap<Submission>(kj::mv(calculator));
  for (auto& definition : program.definitions) submission->define(definition);
  return submission->compute(program.steps)
      .getRequest()
      .send()
      .then([](auto&& response) { return readAnswer(response.getOutcome()); })
      .attach(kj::mv(submission));
}

}  // namespace shoal::calculator
