// The short form of fuzzing: the stored corpus, and mutations of it that are the same in every run.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "shoal/tests/fuzz/targets.h"

namespace shoal::fuzz {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kMostBytes = 2000;

Bytes ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::filesystem::path Folder(const Target& target) {
  return std::filesystem::path("tests/fuzz/corpus") / target.name;
}

std::vector<Bytes> Corpus(const Target& target) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(Folder(target))) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> corpus;
  for (const std::filesystem::path& path : paths) {
    corpus.push_back(ReadFile(path));
  }
  return corpus;
}

// Leaves the input behind, for the case that it ends the process.
absl::Status RunOn(const Target& target, const Bytes& bytes) {
  if (const char* folder = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR"); folder != nullptr) {
    std::ofstream file(std::filesystem::path(folder) / (std::string(target.name) + "-input"),
                       std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  return target.run(bytes);
}

// Changes programs as libFuzzer does, but without looking at what they cover.
class Mutator {
 public:
  explicit Mutator(std::vector<Bytes> corpus) : corpus_(std::move(corpus)) {}

  Bytes Next() {
    Bytes bytes = Any();
    for (uint64_t left = 1 + Below(6); left > 0; --left) {
      Mutate(bytes);
    }
    bytes.resize(std::min(bytes.size(), kMostBytes));
    return bytes;
  }

 private:
  uint64_t Below(uint64_t bound) { return random_() % bound; }
  const Bytes& Any() { return corpus_[Below(corpus_.size())]; }

  void Mutate(Bytes& bytes) {
    const auto at = static_cast<ptrdiff_t>(Below(bytes.size() + 1));
    switch (Below(5)) {
      case 0:  // another byte
        if (at < std::ssize(bytes)) {
          bytes[at] = static_cast<uint8_t>(random_());
        }
        return;
      case 1:  // another bit
        if (at < std::ssize(bytes)) {
          bytes[at] ^= static_cast<uint8_t>(1u << Below(8));
        }
        return;
      case 2:  // bytes more
        bytes.insert(bytes.begin() + at, 1 + Below(8), static_cast<uint8_t>(random_()));
        return;
      case 3:  // bytes less
        bytes.erase(bytes.begin() + at,
                    bytes.begin() + std::min<ptrdiff_t>(at + 1 + Below(4), std::ssize(bytes)));
        return;
      default: {  // the rest of another program
        const Bytes& other = Any();
        const auto from = other.begin() + static_cast<ptrdiff_t>(Below(other.size() + 1));
        bytes.insert(bytes.begin() + at, from, other.end());
      }
    }
  }

  const std::vector<Bytes> corpus_;
  std::mt19937_64 random_{1};  // NOLINT: the same in every run
};

class CorpusTest : public testing::TestWithParam<Target> {};

TEST_P(CorpusTest, BeginsWithSeedsThatEndAsTheyMust) {
  for (const Seed& seed : GetParam().seeds()) {
    const absl::Status status = RunOn(GetParam(), seed.bytes);
    if (seed.outcome != absl::StatusCode::kUnknown) {
      EXPECT_EQ(status.code(), seed.outcome) << seed.name << ": " << status;
    }
  }
}

TEST_P(CorpusTest, HasAllSeeds) {
  for (const Seed& seed : GetParam().seeds()) {
    EXPECT_EQ(ReadFile(Folder(GetParam()) / ("seed-" + seed.name)), seed.bytes)
        << "run `bazel run //tests/fuzz:write_seeds` after " << seed.name << " was changed";
  }
}

// What must hold is in the targets, which end the process if it does not.
TEST_P(CorpusTest, BreaksNothing) {
  for (const Bytes& bytes : Corpus(GetParam())) {
    RunOn(GetParam(), bytes).IgnoreError();
  }
}

TEST_P(CorpusTest, BreaksNothingWhenItIsMutated) {
  Mutator mutator(Corpus(GetParam()));
  for (int i = 0; i < GetParam().mutations; ++i) {
    RunOn(GetParam(), mutator.Next()).IgnoreError();
  }
}

INSTANTIATE_TEST_SUITE_P(Fuzz, CorpusTest, testing::ValuesIn(kTargets),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace shoal::fuzz
