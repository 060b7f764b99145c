#pragma once

// The text that a user types, parsed.
//
//     program    = { definition ";" } sum
//     definition = "let" name [ "(" [ name { "," name } ] ")" ] "=" sum
//     sum        = product { ("+" | "-") product }
//     product    = unary { ("*" | "/") unary }
//     unary      = "-" unary | power
//     power      = primary [ "^" unary ]
//     primary    = number | name | name "(" [ sum { "," sum } ] ")" | "(" sum ")"
//
// So ^ binds closest and to the right, and -2 ^ 2 is -4. Names are known from their definition on,
// pi and e from the start; a function that has no definition is the calculator's to know.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shoal/examples/calculator/calculator.capnp.h"
#include "shoal/examples/calculator/problem.h"

namespace shoal::calculator {

// How deep parentheses, calls, minus signs and ^ may be nested; each level costs the parser about
// 1 KiB of call stack.
inline constexpr size_t kMaxNesting = 200;

// How many arguments a function may take.
inline constexpr size_t kMaxArguments = 100;

// The argument with this index, in the body of a function.
struct Parameter {
  uint16_t index;
};

// The value of the program's definition with this index.
struct DefinedValue {
  size_t index;
};

// A call, with as many arguments from the stack.
struct Application {
  std::string name;
  std::optional<size_t> definition;  // its index in the program; none for the calculator's own
  uint16_t arguments;
};

// A step of a stack machine, as in Expression::Step.
struct Step {
  uint32_t position;  // byte offset in the text
  std::variant<double, Parameter, DefinedValue, Expression::Operator, Application> action;
};

// let name = steps, or let name(parameters) = steps.
struct Definition {
  std::string name;
  std::optional<size_t> parameters;  // how many; none for a value
  std::vector<Step> steps;
};

struct Program {
  std::vector<Definition> definitions;  // each uses only those before it
  std::vector<Step> steps;              // what to compute
};

// The program that `text` says, or what is wrong with it first. Any bytes are accepted as text.
std::variant<Program, Problem> ParseProgram(std::string_view text);

}  // namespace shoal::calculator
