#pragma once

// What the names of a program mean.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace shoal::calculator {

class Scope {
 public:
  struct Unknown {};
  struct Constant {
    double number;
  };
  struct Argument {
    uint16_t index;
  };
  struct Value {
    size_t definition;
  };
  struct Function {
    size_t definition;
  };
  using Meaning = std::variant<Unknown, Constant, Argument, Value, Function>;

  // Knows the constants pi and e.
  Scope();

  // What `name` means here: a parameter before a definition, a definition before a constant.
  Meaning Find(std::string_view name) const;

  // `name` has a definition. (One of a constant's name hides the constant.)
  bool IsDefined(std::string_view name) const;

  // `name` is among the parameters of the function being defined.
  bool IsParameter(std::string_view name) const;

  // How many parameters the function being defined has so far.
  size_t ParameterCount() const { return parameters_.size(); }

  // From here on `name` means a Value or a Function.
  void Define(std::string_view name, Meaning meaning);

  // One more parameter for the function being defined.
  void AddParameter(std::string_view name);

  // The function's definition is over.
  void ClearParameters();

 private:
  std::vector<std::string> parameters_;  // of the function being defined, in order
  std::map<std::string, Meaning, std::less<>> definitions_;
  std::map<std::string, Meaning, std::less<>> constants_;
};

}  // namespace shoal::calculator
