#include "shoal/examples/calculator/builtin_functions.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "shoal/examples/calculator/answer.h"

namespace shoal::calculator {
namespace {

using Arguments = capnp::List<double>::Reader;

struct Builtin {
  const char* name;
  uint32_t fewest;  // arguments
  uint32_t most;
  double (*compute)(Arguments);
};

constexpr uint32_t ANY_NUMBER = UINT32_MAX;

constexpr Builtin BUILTINS[] = {
    {"abs", 1, 1, [](Arguments of) { return std::abs(of[0]); }},
    {"atan", 1, 1, [](Arguments of) { return std::atan(of[0]); }},
    {"ceil", 1, 1, [](Arguments of) { return std::ceil(of[0]); }},
    {"cos", 1, 1, [](Arguments of) { return std::cos(of[0]); }},
    {"exp", 1, 1, [](Arguments of) { return std::exp(of[0]); }},
    {"floor", 1, 1, [](Arguments of) { return std::floor(of[0]); }},
    {"ln", 1, 1, [](Arguments of) { return std::log(of[0]); }},
    {"log10", 1, 1, [](Arguments of) { return std::log10(of[0]); }},
    {"max", 1, ANY_NUMBER, [](Arguments of) { return *std::max_element(of.begin(), of.end()); }},
    {"min", 1, ANY_NUMBER, [](Arguments of) { return *std::min_element(of.begin(), of.end()); }},
    {"round", 1, 1, [](Arguments of) { return std::round(of[0]); }},
    {"sin", 1, 1, [](Arguments of) { return std::sin(of[0]); }},
    {"sqrt", 1, 1, [](Arguments of) { return std::sqrt(of[0]); }},
    {"tan", 1, 1, [](Arguments of) { return std::tan(of[0]); }},
};

class BuiltinFunction final : public Function::Server {
 public:
  explicit BuiltinFunction(const Builtin& builtin) : builtin(builtin) {}

  kj::Promise<void> apply(ApplyContext context) override {
    auto params = context.getParams();
    writeAnswer(answer(params.getArguments(), params.getPosition()),
                context.getResults().initOutcome());
    return kj::READY_NOW;
  }

 private:
  const Builtin& builtin;

  Answer answer(Arguments arguments, uint32_t position) const {
    if (arguments.size() >= builtin.fewest && arguments.size() <= builtin.most) {
      return builtin.compute(arguments);
    }
    return Problem{
        position,
        absl::StrCat("wrong number of arguments: '", builtin.name, "' takes ", builtin.fewest,
                     builtin.most == ANY_NUMBER ? " or more" : "", ", not ", arguments.size())};
  }
};

class UnknownFunction final : public Function::Server {
 public:
  explicit UnknownFunction(kj::StringPtr name) : name(name.cStr()) {}

  kj::Promise<void> apply(ApplyContext context) override {
    writeAnswer(Problem{context.getParams().getPosition(),
                        absl::StrCat("there is no function '", name, "': the calculator has ",
                                     builtinNames(), ", and \"let ", name,
                                     "(x) = ...;\" before this defines one")},
                context.getResults().initOutcome());
    return kj::READY_NOW;
  }

 private:
  const std::string name;
};

}  // namespace

Function::Client builtinFunction(kj::StringPtr name) {
  for (auto& builtin : BUILTINS) {
    if (name == builtin.name) return kj::heap<BuiltinFunction>(builtin);
  }
  return kj::heap<UnknownFunction>(name);
}

std::string builtinNames() {
  return absl::StrJoin(BUILTINS, ", ",
                       [](std::string* out, const Builtin& builtin) { out->append(builtin.name); });
}

}  // namespace shoal::calculator
