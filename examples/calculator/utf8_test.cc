#include "shoal/examples/calculator/utf8.h"

#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace shoal::calculator {
namespace {

using testing::ElementsAre;

TEST(Utf8, CutsTextIntoCharactersOfOneToFourBytes) {
  EXPECT_THAT(Characters("aé€😀"), ElementsAre("a", "é", "€", "😀"));
}

TEST(Utf8, TakesAByteThatBeginsNoCharacterByItself) {
  EXPECT_THAT(Characters("\xFF"
                         "a\x80"),
              ElementsAre("\xFF", "a", "\x80"));
}

TEST(Utf8, TakesEachByteOfACutOffCharacterByItself) {
  const std::string_view euro = "€";
  EXPECT_THAT(Characters(euro.substr(0, 2)), ElementsAre("\xE2", "\x82"));
  EXPECT_THAT(Characters("\xE2\x82+"), ElementsAre("\xE2", "\x82", "+"));
}

TEST(Utf8, HasNoCharacterInEmptyText) { EXPECT_EQ(CharacterLength(""), 0u); }

TEST(Utf8, PrintsCharactersThatAreNotControlsAsTheyAre) {
  EXPECT_EQ(Printable("a"), "a");
  EXPECT_EQ(Printable("é"), "é");
  EXPECT_EQ(Printable("😀"), "😀");
}

TEST(Utf8, PrintsControlCharactersAsASpace) {
  EXPECT_EQ(Printable("\t"), " ");
  EXPECT_EQ(Printable("\x1B"), " ");
  EXPECT_EQ(Printable("\x7F"), " ");
  EXPECT_EQ(Printable("\u009B"), " ");
}

TEST(Utf8, PrintsAMalformedByteAsTheReplacementCharacter) {
  EXPECT_EQ(Printable("\xFF"), "\uFFFD");
}

}  // namespace
}  // namespace shoal::calculator
