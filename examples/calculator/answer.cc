#include "shoal/examples/calculator/answer.h"

#include <string>

namespace shoal::calculator {

Answer readAnswer(Outcome::Reader outcome) {
  switch (outcome.which()) {
    case Outcome::NUMBER:
      return outcome.getNumber();
    case Outcome::PROBLEM: {
      auto problem = outcome.getProblem();
      auto message = problem.getMessage();
      return Problem{problem.getPosition(), std::string(message.begin(), message.end())};
    }
  }
  return Problem{0, "the answer is of a kind that this program does not know: rebuild it"};
}

void writeAnswer(const Answer& answer, Outcome::Builder outcome) {
  if (auto* number = std::get_if<double>(&answer)) {
    outcome.setNumber(*number);
    return;
  }
  auto& problem = std::get<Problem>(answer);
  auto group = outcome.initProblem();
  group.setPosition(problem.position);
  group.setMessage(problem.message.c_str());
}

}  // namespace shoal::calculator
