#include "shoal/examples/calculator/scope.h"

#include <algorithm>
#include <numbers>

namespace shoal::calculator {

Scope::Scope() : constants_{{"pi", Constant{std::numbers::pi}}, {"e", Constant{std::numbers::e}}} {}

Scope::Meaning Scope::Find(std::string_view name) const {
  const auto parameter = std::find(parameters_.begin(), parameters_.end(), name);
  if (parameter != parameters_.end()) {
    return Argument{static_cast<uint16_t>(parameter - parameters_.begin())};
  }
  if (const auto found = definitions_.find(name); found != definitions_.end()) return found->second;
  if (const auto found = constants_.find(name); found != constants_.end()) return found->second;
  return Unknown{};
}

bool Scope::IsDefined(std::string_view name) const {
  return definitions_.find(name) != definitions_.end();
}

bool Scope::IsParameter(std::string_view name) const {
  return std::find(parameters_.begin(), parameters_.end(), name) != parameters_.end();
}

void Scope::Define(std::string_view name, Meaning meaning) { definitions_.emplace(name, meaning); }

void Scope::AddParameter(std::string_view name) { parameters_.emplace_back(name); }

void Scope::ClearParameters() { parameters_.clear(); }

}  // namespace shoal::calculator
