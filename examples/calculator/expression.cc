#include "shoal/examples/calculator/expression.h"

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "shoal/examples/calculator/scope.h"
#include "shoal/examples/calculator/token.h"

namespace shoal::calculator {
namespace {

using Kind = Token::Kind;
using Operator = Expression::Operator;

// What went wrong, if anything did.
using Failure = std::optional<Problem>;

constexpr std::string_view kLet = "let";

std::string Quote(std::string_view text) { return absl::StrCat("'", std::string(text), "'"); }

// Recursive descent: a function for each rule of the grammar, which leaves `next_` behind what the
// rule matches, and appends the rule's steps to `steps_`.
class Parser {
 public:
  explicit Parser(std::string_view text) : tokens_(Tokenize(text)) {}

  Failure ParseProgram();
  Program TakeProgram() { return std::move(program_); }

 private:
  Failure ParseDefinition();
  Failure ParseParameters();
  Failure ParseParameter();
  Failure ParseSum();
  Failure ParseProduct();
  Failure ParseUnary();
  Failure ParsePower();
  Failure ParsePrimary();
  Failure ParseName();
  Failure ParseApplication(const Token& name);

  const Token& Next() const { return tokens_[next_]; }
  bool NextIs(std::string_view text) const { return Next().text == text; }
  void Advance() { ++next_; }
  bool Accept(std::string_view text);

  void Append(const Token& token, decltype(Step::action) action);
  Failure Fail(const Token& token, std::string message) const;
  Failure Expected(std::string_view what) const;

  const std::vector<Token> tokens_;
  size_t next_ = 0;          // index of the first token that no rule has matched yet
  size_t nesting_ = 0;       // how many ParseUnary() are under way
  Scope scope_;              // names known to the rule under way
  std::vector<Step> steps_;  // of the definition under way, or of what to compute
  Program program_;          // what is complete
};

bool Parser::Accept(std::string_view text) {
  if (!NextIs(text)) return false;
  Advance();
  return true;
}

void Parser::Append(const Token& token, decltype(Step::action) action) {
  steps_.push_back({token.position, std::move(action)});
}

Failure Parser::Fail(const Token& token, std::string message) const {
  return Problem{token.position, std::move(message)};
}

Failure Parser::Expected(std::string_view what) const {
  if (Next().kind == Kind::kInvalid) return Fail(Next(), Next().message);
  const std::string found = Next().kind == Kind::kEnd ? "the end" : Quote(Next().text);
  return Fail(Next(), absl::StrCat("expected ", std::string(what), ", not ", found));
}

Failure Parser::ParseProgram() {
  while (Accept(kLet)) {
    if (Failure failure = ParseDefinition()) return failure;
    if (!Accept(";")) return Expected("an operator, or ';' and what to compute");
  }
  if (Failure failure = ParseSum()) return failure;
  program_.steps = std::exchange(steps_, {});
  if (Next().kind == Kind::kEnd) return std::nullopt;
  return Expected("an operator or the end");
}

Failure Parser::ParseDefinition() {
  const Token& name = Next();
  if (name.kind != Kind::kName || NextIs(kLet)) return Expected("a name to define");
  if (scope_.IsDefined(name.text)) return Fail(name, Quote(name.text) + " is defined already");
  Advance();

  const bool is_function = Accept("(");
  if (is_function) {
    if (Failure failure = ParseParameters()) return failure;
  }
  if (!Accept("=")) return Expected(is_function ? "'='" : "'=' or '('");
  if (Failure failure = ParseSum()) return failure;

  const size_t index = program_.definitions.size();
  Definition definition{std::string(name.text), std::nullopt, std::exchange(steps_, {})};
  if (is_function) definition.parameters = scope_.ParameterCount();
  program_.definitions.push_back(std::move(definition));
  scope_.ClearParameters();
  if (is_function) {
    scope_.Define(name.text, Scope::Function{index});
  } else {
    scope_.Define(name.text, Scope::Value{index});
  }
  return std::nullopt;
}

Failure Parser::ParseParameters() {
  if (Accept(")")) return std::nullopt;
  do {
    if (Failure failure = ParseParameter()) return failure;
  } while (Accept(","));
  if (Accept(")")) return std::nullopt;
  return Expected("',' or ')'");
}

Failure Parser::ParseParameter() {
  const Token& name = Next();
  if (name.kind != Kind::kName || NextIs(kLet)) return Expected("the name of a parameter");
  if (scope_.IsParameter(name.text)) {
    return Fail(name, Quote(name.text) + " is a parameter already");
  }
  if (scope_.ParameterCount() == kMaxArguments) {
    return Fail(name, absl::StrCat("a function has at most ", kMaxArguments, " parameters"));
  }
  scope_.AddParameter(name.text);
  Advance();
  return std::nullopt;
}

Failure Parser::ParseSum() {
  if (Failure failure = ParseProduct()) return failure;
  while (NextIs("+") || NextIs("-")) {
    const Token& sign = Next();
    Advance();
    if (Failure failure = ParseProduct()) return failure;
    Append(sign, sign.text == "+" ? Operator::ADD : Operator::SUBTRACT);
  }
  return std::nullopt;
}

Failure Parser::ParseProduct() {
  if (Failure failure = ParseUnary()) return failure;
  while (NextIs("*") || NextIs("/")) {
    const Token& sign = Next();
    Advance();
    if (Failure failure = ParseUnary()) return failure;
    Append(sign, sign.text == "*" ? Operator::MULTIPLY : Operator::DIVIDE);
  }
  return std::nullopt;
}

// Every recursion of the grammar comes through here, so this is where its depth is bounded.
Failure Parser::ParseUnary() {
  const Token& sign = Next();
  if (nesting_ == kMaxNesting) {
    return Fail(sign, absl::StrCat("this is nested more than ", kMaxNesting,
                                   " deep: name a part of it with let"));
  }
  ++nesting_;
  const absl::Cleanup leave = [this] { --nesting_; };

  if (!Accept("-")) return ParsePower();
  if (Failure failure = ParseUnary()) return failure;
  Append(sign, Operator::NEGATE);
  return std::nullopt;
}

Failure Parser::ParsePower() {
  if (Failure failure = ParsePrimary()) return failure;
  const Token& sign = Next();
  if (!Accept("^")) return std::nullopt;
  if (Failure failure = ParseUnary()) return failure;
  Append(sign, Operator::POWER);
  return std::nullopt;
}

Failure Parser::ParsePrimary() {
  const Token& token = Next();
  if (token.kind == Kind::kNumber) {
    Advance();
    Append(token, token.number);
    return std::nullopt;
  }
  if (token.kind == Kind::kName && token.text != kLet) return ParseName();
  if (!Accept("(")) return Expected("a number, a name or '('");
  if (Failure failure = ParseSum()) return failure;
  if (Accept(")")) return std::nullopt;
  return Expected("an operator or ')'");
}

Failure Parser::ParseName() {
  const Token& name = Next();
  Advance();
  if (Accept("(")) return ParseApplication(name);

  const Scope::Meaning meaning = scope_.Find(name.text);
  if (const auto* constant = std::get_if<Scope::Constant>(&meaning)) {
    Append(name, constant->number);
  } else if (const auto* argument = std::get_if<Scope::Argument>(&meaning)) {
    Append(name, Parameter{argument->index});
  } else if (const auto* value = std::get_if<Scope::Value>(&meaning)) {
    Append(name, DefinedValue{value->definition});
  } else if (std::holds_alternative<Scope::Function>(meaning)) {
    return Expected("'(' and the arguments of " + Quote(name.text));
  } else {
    return Fail(name, absl::StrCat(Quote(name.text), " is not defined: put \"let ",
                                   std::string(name.text), " = ...;\" before it"));
  }
  return std::nullopt;
}

Failure Parser::ParseApplication(const Token& name) {
  const Scope::Meaning meaning = scope_.Find(name.text);
  Application application{std::string(name.text), std::nullopt, 0};
  if (const auto* function = std::get_if<Scope::Function>(&meaning)) {
    application.definition = function->definition;
  } else if (!std::holds_alternative<Scope::Unknown>(meaning)) {
    return Fail(name, Quote(name.text) + " is a value, not a function");
  }

  while (!Accept(")")) {
    if (application.arguments > 0 && !Accept(",")) return Expected("an operator, ',' or ')'");
    if (application.arguments == kMaxArguments) {
      return Fail(Next(), absl::StrCat("a function takes at most ", kMaxArguments, " arguments"));
    }
    if (Failure failure = ParseSum()) return failure;
    ++application.arguments;
  }
  Append(name, std::move(application));
  return std::nullopt;
}

}  // namespace

std::variant<Program, Problem> ParseProgram(std::string_view text) {
  Parser parser(text);
  if (Failure failure = parser.ParseProgram()) return *std::move(failure);
  return parser.TakeProgram();
}

}  // namespace shoal::calculator
