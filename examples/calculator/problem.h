#pragma once

// What is wrong with an expression, and where.

#include <cstdint>
#include <string>
#include <string_view>

namespace shoal::calculator {

struct Problem {
  uint32_t position;    // byte offset in the text; its size means the end
  std::string message;  // one line, without the position
};

// Three lines, the last without its newline: the line of `text` that has the problem, a caret under
// the character, and the message.
//
//     2 + * 3
//         ^
//     expected a number, a name or '(', not '*'
//
// At most 72 characters of a long line are shown. Nothing of the text or the message can control
// the terminal. Any position is accepted; one behind the end means the end.
std::string ShowProblem(std::string_view text, const Problem& problem);

}  // namespace shoal::calculator
