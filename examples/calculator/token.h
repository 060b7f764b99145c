#pragma once

// The words of an expression: numbers, names and symbols.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace shoal::calculator {

struct Token {
  enum class Kind {
    kNumber,   // decimal: 12, .5, 1.5e-3
    kName,     // a letter or '_', then letters, digits and '_', all of ASCII
    kSymbol,   // one of + - * / ^ ( ) , ; =
    kEnd,      // the end of the text; always the last token
    kInvalid,  // the text goes wrong here; always the last token
  };

  Kind kind;
  uint32_t position;      // byte offset in the text
  std::string_view text;  // the token as it is written; for kInvalid unspecified
  double number;          // of kNumber, else 0
  std::string message;    // of kInvalid: what is wrong
};

// The tokens of `text`, which they point into, up to its end or to where it goes wrong. White space
// separates tokens. Texts of 4 GiB and more are cut.
std::vector<Token> Tokenize(std::string_view text);

}  // namespace shoal::calculator
