// client ADDRESS EXPRESSION: prints the value of an expression, which a calculator computes.

#include "shoal/rpc/client.h"

#include <iostream>
#include <string>
#include <variant>

#include "kj/exception.h"
#include "shoal/examples/calculator/builtin_functions.h"
#include "shoal/examples/calculator/calculator.capnp.h"
#include "shoal/examples/calculator/expression.h"
#include "shoal/examples/calculator/problem.h"
#include "shoal/examples/calculator/submit.h"

namespace {

using shoal::calculator::Answer;
using shoal::calculator::Calculator;
using shoal::calculator::Problem;
using shoal::calculator::Program;

constexpr char USAGE[] =
    "usage: client ADDRESS EXPRESSION\n"
    "\n"
    "Prints the value of EXPRESSION, computed by the calculator at ADDRESS.\n"
    "\n"
    "  client shm:calculator '2 ^ (3 + 4) * sqrt(16)'\n"
    "  client unix:/tmp/calculator '-pi / 2'\n"
    "  client 127.0.0.1:5923 'let sq(x) = x * x; let a = sq(3); a + sqrt(a)'\n"
    "\n"
    "An expression has numbers (2, .5, 1.5e-3), pi and e, the operators + - * / ^ (which binds\n"
    "closest, and to the right: -2 ^ 2 is -4), parentheses, and functions. \"let NAME = ...;\" "
    "names\n"
    "a value and \"let NAME(PARAMETERS) = ...;\" a function for what follows. A function so "
    "defined\n"
    "stays in this process, and the calculator calls it back. Those of the calculator are:\n"
    "  ";

constexpr char USAGE_END[] =
    "\n"
    "\n"
    "Numbers follow IEEE 754: 1 / 0 is inf, and 0 / 0 and sqrt(-1) are nan.\n"
    "\n"
    "Exit status: 0, 1 if the expression is wrong or the calculator can't be reached, 2 if this\n"
    "program is used wrongly.\n";

constexpr int USAGE_ERROR = 2;

std::string explain(const kj::Exception& exception, const std::string& address, bool reached) {
  // A server that dies while the first calls are on their way may or may not have been reached, so
  // what is said then holds for both; the reason is the system's and tells them apart.
  std::string reason = exception.getDescription().cStr();
  if (reached && exception.getType() != kj::Exception::Type::DISCONNECTED) {
    return "client: the calculator at " + address + " failed: " + reason;
  }
  return "client: there is no calculator at " + address + ", or it went away: " + reason +
         "\nTo start one there: server " + address;
}

int fail(const std::string& message) {
  std::cerr << message << std::endl;
  return EXIT_FAILURE;
}

int print(const Answer& answer, const char* text) {
  if (auto* problem = std::get_if<Problem>(&answer)) return fail(ShowProblem(text, *problem));
  // The shortest decimal that is this number.
  std::cout << kj::str(std::get<double>(answer)).cStr() << std::endl;
  return EXIT_SUCCESS;
}

int run(const char* address, const char* text) {
  auto program = shoal::calculator::ParseProgram(text);
  if (auto* problem = std::get_if<Problem>(&program)) return fail(ShowProblem(text, *problem));

  bool reached = false;
  try {
    shoal::RpcClient client(address);
    auto calculator = client.getMain<Calculator>();
    // A failure to connect is reported by the answer below.
    auto reaching = calculator.whenResolved()
                        .then([&reached]() { reached = true; })
                        .eagerlyEvaluate([](kj::Exception&&) {});
    auto answer = submit(std::get<Program>(program), calculator);
    return print(answer.wait(client.getWaitScope()), text);
  } catch (const kj::Exception& exception) {
    return fail(explain(exception, address, reached));
  }
}

}  // namespace

int main(int argc, char* argv[]) {
  auto usage = USAGE + shoal::calculator::builtinNames() + USAGE_END;
  if (argc == 2 && argv[1] == std::string("--help")) {
    std::cout << usage;
    return EXIT_SUCCESS;
  }
  if (argc != 3) {
    std::cerr << usage;
    return USAGE_ERROR;
  }
  return run(argv[1], argv[2]);
}
