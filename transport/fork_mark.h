// Whether this is still the process that it was.
#pragma once

#include <cstddef>

#include "absl/status/statusor.h"

namespace shoal {

// A page that the kernel gives to a forked child zeroed (MADV_WIPEONFORK, Linux 4.14), so that
// finding out costs a load, where getpid() is a system call. Read by any thread.
class ForkMark {
 public:
  // kResourceExhausted: no memory or address space.
  static absl::StatusOr<ForkMark> Create();

  ForkMark(ForkMark&& other) noexcept;
  ForkMark& operator=(ForkMark&&) = delete;
  ~ForkMark();

  // True in a child that was forked since Create(), and in its children.
  bool forked() const { return *page_ == std::byte{0}; }

 private:
  explicit ForkMark(const std::byte* page) : page_(page) {}

  const std::byte* page_;
};

}  // namespace shoal
