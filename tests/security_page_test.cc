// Each test that docs/security.md names is there.

#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace shoal {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::smatch> AllMatches(const std::string& text, const std::regex& pattern) {
  return {std::sregex_iterator(text.begin(), text.end(), pattern), std::sregex_iterator()};
}

// "file_test: Suite.Name, Name, OtherSuite.*", of transport/ unless it names a folder.
struct Reference {
  std::string file;
  std::string names;
};

std::vector<Reference> References(const std::string& page) {
  std::vector<Reference> references;
  const std::regex pattern(R"(([a-z_/]+_test): ([A-Z]\w*\.[\w*]+(, [A-Z][\w.*]+)*))");
  for (const std::smatch& match : AllMatches(page, pattern)) {
    const std::string file = match[1];
    references.push_back(
        {.file = file.find('/') == file.npos ? "transport/" + file : file, .names = match[2]});
  }
  return references;
}

void ExpectInSources(const Reference& reference) {
  const std::string source = ReadFile(reference.file + ".cc");
  std::string suite;
  for (const std::smatch& match : AllMatches(reference.names, std::regex(R"((\w+\.)?(\w+|\*))"))) {
    suite = match[1].matched ? match[1].str().substr(0, match[1].length() - 1) : suite;
    const std::string name = match[2] == "*" ? "\\w+" : match[2].str();
    const std::regex test("TEST(_F|_P)?\\(" + suite + ",\\s*" + name + "\\)");
    EXPECT_TRUE(std::regex_search(source, test))
        << "no test " << suite << "." << match[2] << " in " << reference.file << ".cc";
  }
}

TEST(SecurityPage, NamesTestsThatAreThere) {
  for (const Reference& reference : References(ReadFile("docs/security.md"))) {
    ExpectInSources(reference);
  }
}

TEST(SecurityPage, NamesNoFileWithoutItsTests) {
  const std::string page = ReadFile("docs/security.md");
  EXPECT_EQ(AllMatches(page, std::regex("_test: ")).size(), References(page).size());
  EXPECT_GT(References(page).size(), 30);
}

}  // namespace
}  // namespace shoal
