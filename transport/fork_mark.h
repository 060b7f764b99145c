// Whether this is still the process that it was.
#pragma once

#include <atomic>
#include <cstdint>

#include "absl/status/statusor.h"

namespace shoal {

// A page that the kernel gives to a forked child zeroed (MADV_WIPEONFORK, Linux 4.14), so that
// finding out costs two loads, where getpid() is a system call. Where the kernel or a seccomp
// filter refuses that, libc counts this process's forks instead (pthread_atfork(), registered
// once); a child made by clone() itself is then not told from its parent. Read by any thread.
class ForkMark {
 public:
  // kResourceExhausted: no memory or address space.
  static absl::StatusOr<ForkMark> Create();

  ForkMark(ForkMark&& other) noexcept;
  ForkMark& operator=(ForkMark&&) = delete;
  ~ForkMark();

  // True in a child that was forked since Create(), and in its children.
  // relaxed: what changes it comes before the child's first instruction.
  bool forked() const { return word_->load(std::memory_order_relaxed) != unforked_; }

 private:
  ForkMark(const std::atomic<uint64_t>* word, uint64_t unforked, void* page)
      : word_(word), unforked_(unforked), page_(page) {}
  static absl::StatusOr<ForkMark> CreateOnACount();

  const std::atomic<uint64_t>* word_;
  uint64_t unforked_;  // what is there in the process that made this
  void* page_;         // with the word, or none where forks are counted
};

}  // namespace shoal
