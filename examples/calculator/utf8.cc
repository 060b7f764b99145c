#include "shoal/examples/calculator/utf8.h"

#include <algorithm>
#include <cstdint>

namespace shoal::calculator {
namespace {

bool IsContinuation(char byte) { return (byte & 0xC0) == 0x80; }

size_t LengthByLead(uint8_t lead) {
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 1;
}

bool IsControl(std::string_view character) {
  const uint8_t lead = character[0];
  if (character.size() == 2) return lead == 0xC2 && static_cast<uint8_t>(character[1]) < 0xA0;
  return lead < 0x20 || lead == 0x7F;
}

}  // namespace

size_t CharacterLength(std::string_view text) {
  if (text.empty()) return 0;
  const size_t length = LengthByLead(text[0]);
  if (length > text.size()) return 1;
  return std::all_of(text.begin() + 1, text.begin() + length, IsContinuation) ? length : 1;
}

std::vector<std::string_view> Characters(std::string_view text) {
  std::vector<std::string_view> characters;
  while (!text.empty()) {
    characters.push_back(text.substr(0, CharacterLength(text)));
    text.remove_prefix(characters.back().size());
  }
  return characters;
}

std::string Printable(std::string_view character) {
  if (IsControl(character)) return " ";
  const bool malformed = character.size() == 1 && static_cast<uint8_t>(character[0]) >= 0x80;
  return malformed ? "\uFFFD" : std::string(character);
}

}  // namespace shoal::calculator
