#include "shoal/examples/calculator/token.h"

#include <charconv>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "shoal/examples/calculator/utf8.h"

namespace shoal::calculator {
namespace {

using Kind = Token::Kind;

constexpr std::string_view kSymbols = "+-*/^(),;=";

std::string Quote(std::string_view character) {
  return absl::StrCat("'", Printable(character), "'");
}

bool BeginsNumber(std::string_view text) {
  if (text[0] == '.') return text.size() > 1 && absl::ascii_isdigit(text[1]);
  return absl::ascii_isdigit(text[0]);
}

bool BeginsName(char c) { return absl::ascii_isalpha(c) || c == '_'; }

bool ContinuesName(char c) { return absl::ascii_isalnum(c) || c == '_'; }

Token NumberAt(std::string_view rest, uint32_t position) {
  double number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (error == std::errc()) {
    return {Kind::kNumber, position, rest.substr(0, end - rest.data()), number, ""};
  }
  return {Kind::kInvalid, position, "", 0,
          "this number is out of range: the largest is about 1.8e308, the smallest 4.9e-324"};
}

Token NameAt(std::string_view rest, uint32_t position) {
  size_t size = 1;
  while (size < rest.size() && ContinuesName(rest[size])) ++size;
  return {Kind::kName, position, rest.substr(0, size), 0, ""};
}

Token TokenAt(std::string_view text, uint32_t position) {
  const std::string_view rest = text.substr(position);
  if (rest.empty()) return {Kind::kEnd, position, "", 0, ""};
  if (BeginsNumber(rest)) return NumberAt(rest, position);
  if (BeginsName(rest[0])) return NameAt(rest, position);
  if (kSymbols.find(rest[0]) != std::string_view::npos) {
    return {Kind::kSymbol, position, rest.substr(0, 1), 0, ""};
  }
  return {Kind::kInvalid, position, "", 0,
          absl::StrCat(Quote(rest.substr(0, CharacterLength(rest))),
                       " has no meaning here: expressions are made of numbers, names and ",
                       "+ - * / ^ ( ) , ; =")};
}

uint32_t SkipSpace(std::string_view text, uint32_t position) {
  while (position < text.size() && absl::ascii_isspace(text[position])) ++position;
  return position;
}

}  // namespace

std::vector<Token> Tokenize(std::string_view text) {
  text = text.substr(0, UINT32_MAX);
  std::vector<Token> tokens;
  uint32_t position = 0;
  do {
    tokens.push_back(TokenAt(text, SkipSpace(text, position)));
    position = tokens.back().position + static_cast<uint32_t>(tokens.back().text.size());
  } while (tokens.back().kind != Kind::kEnd && tokens.back().kind != Kind::kInvalid);
  return tokens;
}

}  // namespace shoal::calculator
