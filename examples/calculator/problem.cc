#include "shoal/examples/calculator/problem.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "shoal/examples/calculator/utf8.h"

namespace shoal::calculator {
namespace {

constexpr size_t kWidth = 72;
constexpr std::string_view kCut = "…";

struct Line {
  std::vector<std::string_view> characters;
  size_t column;  // index of the character with the problem; their number means the end
};

Line LineAt(std::string_view text, size_t position) {
  // npos + 1 is 0, the start of the first line.
  const size_t start = text.substr(0, position).rfind('\n') + 1;
  const std::string_view line = text.substr(start, text.find('\n', position) - start);
  Line result{Characters(line), 0};
  for (size_t end = start; result.column < result.characters.size(); ++result.column) {
    end += result.characters[result.column].size();
    if (end > position) break;
  }
  return result;
}

std::string Print(const std::vector<std::string_view>& characters, size_t begin, size_t end) {
  std::string printed;
  for (size_t i = begin; i < end; ++i) printed += Printable(characters[i]);
  return printed;
}

}  // namespace

std::string ShowProblem(std::string_view text, const Problem& problem) {
  const Line line = LineAt(text, problem.position);
  const size_t size = line.characters.size();
  const size_t begin = size > kWidth && line.column > kWidth / 2 ? line.column - kWidth / 2 : 0;
  const size_t end = std::min(size, begin + kWidth);

  std::string excerpt = Print(line.characters, begin, end);
  size_t indent = line.column - begin;
  if (begin > 0) {
    excerpt.insert(0, kCut);
    ++indent;
  }
  if (end < size) excerpt += kCut;

  const std::vector<std::string_view> message = Characters(problem.message);
  return absl::StrCat(excerpt, "\n", std::string(indent, ' '), "^\n",
                      Print(message, 0, message.size()));
}

}  // namespace shoal::calculator
