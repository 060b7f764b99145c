#include "shoal/transport/fork_mark.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "shoal/transport/system_error.h"

namespace shoal {

absl::StatusOr<ForkMark> ForkMark::Create() {
  const size_t bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* const page =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    return SystemError(errno, "mapping a page for a channel");
  }
  if (madvise(page, bytes, MADV_WIPEONFORK) != 0) {
    const int error = errno;
    munmap(page, bytes);
    return SystemError(error, "marking a page to be wiped by fork()");
  }
  *static_cast<std::byte*>(page) = std::byte{1};
  return ForkMark(static_cast<const std::byte*>(page));
}

ForkMark::ForkMark(ForkMark&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}

ForkMark::~ForkMark() {
  if (page_ != nullptr) {
    munmap(const_cast<std::byte*>(page_), static_cast<size_t>(sysconf(_SC_PAGESIZE)));
  }
}

}  // namespace shoal
