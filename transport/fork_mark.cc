#include "shoal/transport/fork_mark.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <utility>

#include "shoal/transport/system_error.h"

namespace shoal {
namespace {

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

// How many forks lie between this process and the one in which the first fallback was made. The
// process's as a whole, since only libc can tell of a fork.
std::atomic<uint64_t> forks = 0;

// 0, or the errno of pthread_atfork().
int CountForks() {
  // relaxed: a new child has one thread.
  static const int error =
      pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
  return error;
}

}  // namespace

absl::StatusOr<ForkMark> ForkMark::Create() {
  void* const page =
      mmap(nullptr, PageBytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    return SystemError(errno, "mapping a page for a channel");
  }
  if (madvise(page, PageBytes(), MADV_WIPEONFORK) != 0) {
    munmap(page, PageBytes());
    return CreateOnACount();
  }
  return ForkMark(new (page) std::atomic<uint64_t>(1), 1, page);
}

absl::StatusOr<ForkMark> ForkMark::CreateOnACount() {
  if (const int error = CountForks(); error != 0) {
    return SystemError(error, "asking to be told of forks");
  }
  return ForkMark(&forks, forks.load(std::memory_order_relaxed), nullptr);
}

ForkMark::ForkMark(ForkMark&& other) noexcept
    : word_(other.word_), unforked_(other.unforked_), page_(std::exchange(other.page_, nullptr)) {}

ForkMark::~ForkMark() {
  if (page_ != nullptr) {
    munmap(page_, PageBytes());
  }
}

}  // namespace shoal
