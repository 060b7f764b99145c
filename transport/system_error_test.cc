#include "shoal/transport/system_error.h"

#include <cerrno>
#include <string>

#include "gtest/gtest.h"

namespace shoal {
namespace {

std::string Message(int error) {
  return std::string(SystemError(error, "creating a socket").message());
}

TEST(SystemError, SaysWhatFailedAndWhy) {
  EXPECT_EQ(SystemError(EBADF, "x").code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Message(EBADF), "creating a socket: Bad file descriptor");
}

TEST(SystemError, NamesTheDescriptorLimitAndItsValue) {
  EXPECT_EQ(SystemError(EMFILE, "x").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(Message(EMFILE).find("RLIMIT_NOFILE is " + SoftLimit(RLIMIT_NOFILE)),
            std::string::npos);
}

TEST(SystemError, TellsMemoryFromSpace) {
  EXPECT_NE(Message(ENOMEM).find("free memory"), std::string::npos);
  EXPECT_NE(Message(ENOSPC).find("free space"), std::string::npos);
}

TEST(SystemError, NamesTheUserWhoIsDenied) {
  EXPECT_EQ(SystemError(EACCES, "x").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_NE(Message(EACCES).find("user id is"), std::string::npos);
}

TEST(SoftLimit, IsTheValueThatRefuses) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_CORE, &before), 0);
  const rlimit lowered{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_CORE, &lowered), 0);
  EXPECT_EQ(SoftLimit(RLIMIT_CORE), "0");
  ASSERT_EQ(setrlimit(RLIMIT_CORE, &before), 0);
}

TEST(SoftLimit, IsAWordWhenThereIsNone) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_CPU, &limit), 0);
  EXPECT_EQ(SoftLimit(RLIMIT_CPU),
            limit.rlim_cur == RLIM_INFINITY ? "unlimited" : std::to_string(limit.rlim_cur));
}

}  // namespace
}  // namespace shoal
