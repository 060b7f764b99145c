#include "shoal/rpc/exception.h"

#include <cstring>

#include "gtest/gtest.h"

namespace shoal {
namespace {

using Type = kj::Exception::Type;

Type typeOf(const absl::Status& status) {
  return SHOAL_EXCEPTION(status).getType();
}

TEST(Exception, APeerThatIsGoneIsDisconnected) {
  EXPECT_EQ(typeOf(absl::UnavailableError("gone")), Type::DISCONNECTED);
}

TEST(Exception, AServerThatDoesNotComeInTimeIsDisconnected) {
  EXPECT_EQ(typeOf(absl::DeadlineExceededError("late")), Type::DISCONNECTED);
}

TEST(Exception, ALimitThatWasReachedIsOverloaded) {
  EXPECT_EQ(typeOf(absl::ResourceExhaustedError("full")), Type::OVERLOADED);
}

TEST(Exception, EverythingElseFailed) {
  EXPECT_EQ(typeOf(absl::DataLossError("corrupt")), Type::FAILED);
  EXPECT_EQ(typeOf(absl::FailedPreconditionError("version")), Type::FAILED);
  EXPECT_EQ(typeOf(absl::InvalidArgumentError("foreign")), Type::FAILED);
  EXPECT_EQ(typeOf(absl::PermissionDeniedError("uid")), Type::FAILED);
  EXPECT_EQ(typeOf(absl::AlreadyExistsError("in use")), Type::FAILED);
  EXPECT_EQ(typeOf(absl::InternalError("fault")), Type::FAILED);
  EXPECT_EQ(typeOf(absl::UnknownError("?")), Type::FAILED);
}

TEST(Exception, SaysWhatTheStatusSays) {
  EXPECT_STREQ(
      SHOAL_EXCEPTION(absl::UnavailableError("shm:a, pid 7, is gone")).getDescription().cStr(),
      "shm:a, pid 7, is gone");
}

TEST(Exception, KeepsAnEmptyTextEmpty) {
  EXPECT_EQ(SHOAL_EXCEPTION(absl::UnavailableError("")).getDescription().size(), 0);
}

TEST(Exception, NamesThePlaceWhereItWasNoticed) {
  const int line = __LINE__ + 1;
  const kj::Exception exception = SHOAL_EXCEPTION(absl::UnavailableError("gone"));
  EXPECT_EQ(exception.getLine(), line);
  EXPECT_NE(strstr(exception.getFile(), "exception_test.cc"), nullptr);
}

}  // namespace
}  // namespace shoal
