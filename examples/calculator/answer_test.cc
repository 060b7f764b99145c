#include "shoal/examples/calculator/answer.h"

#include <variant>

#include "capnp/message.h"
#include "gtest/gtest.h"

namespace shoal::calculator {
namespace {

TEST(Answer, CarriesANumberThroughAMessage) {
  capnp::MallocMessageBuilder message;
  auto outcome = message.initRoot<Outcome>();

  writeAnswer(0.1, outcome);

  EXPECT_EQ(std::get<double>(readAnswer(outcome)), 0.1);
}

TEST(Answer, CarriesAProblemThroughAMessage) {
  capnp::MallocMessageBuilder message;
  auto outcome = message.initRoot<Outcome>();

  writeAnswer(Problem{7, "too small"}, outcome);

  auto problem = std::get<Problem>(readAnswer(outcome));
  EXPECT_EQ(problem.position, 7u);
  EXPECT_EQ(problem.message, "too small");
}

TEST(Answer, OfAnUnknownKindIsAProblem) {
  capnp::MallocMessageBuilder message;
  auto words = message.initRoot<capnp::AnyPointer>().initAsAnyStruct(2, 1);
  for (auto& byte : words.getDataSection()) byte = 0xFF;

  auto answer = readAnswer(message.getRoot<Outcome>());

  EXPECT_TRUE(std::holds_alternative<Problem>(answer));
}

}  // namespace
}  // namespace shoal::calculator
