#pragma once

// UTF-8 as far as printing needs it: text is cut into characters, one to a column.

#include <string>
#include <string_view>
#include <vector>

namespace shoal::calculator {

// Bytes of the character that `text` begins with. A byte that begins no well-formed character is
// one by itself; 0 only for empty text.
size_t CharacterLength(std::string_view text);

// `text` cut into its characters. They point into `text`.
std::vector<std::string_view> Characters(std::string_view text);

// `character` as a terminal can show it in one column: a space for a control character (a tab, an
// escape), U+FFFD for a byte that is not UTF-8, else itself. Characters that a terminal shows wider
// or narrower than one column are not told apart.
std::string Printable(std::string_view character);

}  // namespace shoal::calculator
