#include "shoal/tests/fuzz/descriptors.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <string>

namespace shoal::fuzz {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
constexpr off_t kPage = 4096;

// What is not allocated costs nothing, so a size may be large where the memory is not.
constexpr uint64_t kMostBytes = uint64_t{1} << 30;
constexpr off_t kMostAllocated = 1 << 20;

UniqueFd NewMemfd(unsigned flags = 0) {
  return UniqueFd(memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags));
}

UniqueFd Memfd(off_t bytes, int seals) {
  UniqueFd fd = NewMemfd();
  const off_t allocated = std::min(bytes, kMostAllocated);
  if (ftruncate(fd.get(), bytes) == 0 && allocated > 0) {
    fallocate(fd.get(), 0, 0, allocated);
  }
  fcntl(fd.get(), F_ADD_SEALS, seals);
  return fd;
}

UniqueFd Reopened(off_t bytes, int mode) {
  const UniqueFd region = Memfd(bytes, kSeals);
  return UniqueFd(
      open(("/proc/self/fd/" + std::to_string(region.get())).c_str(), mode | O_CLOEXEC));
}

UniqueFd WithHole(off_t bytes) {
  UniqueFd fd = NewMemfd();
  if (ftruncate(fd.get(), bytes) == 0) {
    fallocate(fd.get(), 0, 0, std::min(std::max(bytes - kPage, kPage), kMostAllocated));
  }
  fcntl(fd.get(), F_ADD_SEALS, kSeals);
  return fd;
}

UniqueFd AllocatedBehindItsEnd(off_t bytes) {
  UniqueFd fd = NewMemfd();
  if (ftruncate(fd.get(), bytes) == 0 && bytes > 0) {
    fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, bytes, std::min(bytes, kMostAllocated));
  }
  fcntl(fd.get(), F_ADD_SEALS, kSeals);
  return fd;
}

UniqueFd HugePages(off_t bytes) {
  UniqueFd fd = NewMemfd(MFD_HUGETLB);
  // Pages that are not allocated are not taken from the system.
  if (ftruncate(fd.get(), bytes) == 0) {
    fcntl(fd.get(), F_ADD_SEALS, kSeals);
  }
  return fd;
}

UniqueFd ReadEndOfAPipe() {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) == 0) {
    close(ends[1]);
  }
  return UniqueFd(ends[0]);
}

UniqueFd Make(FdKind kind, off_t bytes) {
  switch (kind) {
    case FdKind::kRegion:
      return Memfd(bytes, kSeals);
    case FdKind::kReadOnlyRegion:
      return Reopened(bytes, O_RDONLY);
    case FdKind::kWriteOnlyRegion:
      return Reopened(bytes, O_WRONLY);
    case FdKind::kNotShrinkSealed:
      return Memfd(bytes, kSeals & ~F_SEAL_SHRINK);
    case FdKind::kNotGrowSealed:
      return Memfd(bytes, kSeals & ~F_SEAL_GROW);
    case FdKind::kNotWriteSealed:
      return Memfd(bytes, kSeals & ~F_SEAL_FUTURE_WRITE);
    case FdKind::kNotSealSealed:
      return Memfd(bytes, kSeals & ~F_SEAL_SEAL);
    case FdKind::kUnsealed:
      return Memfd(bytes, 0);
    case FdKind::kLarger:
      return Memfd(bytes + kPage, kSeals);
    case FdKind::kSmaller:
      return Memfd(std::max<off_t>(bytes - kPage, 0), kSeals);
    case FdKind::kWithHole:
      return WithHole(bytes);
    case FdKind::kAllocatedBehindItsEnd:
      return AllocatedBehindItsEnd(bytes);
    case FdKind::kEmpty:
      return Memfd(0, kSeals);
    case FdKind::kHugePages:
      return HugePages(bytes);
    case FdKind::kNull:
      return UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC));
    case FdKind::kRegularFile:
      return UniqueFd(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    case FdKind::kPath:
      return UniqueFd(open("/proc/self/exe", O_PATH | O_CLOEXEC));
    case FdKind::kFolder:
      return UniqueFd(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    case FdKind::kPipe:
      return ReadEndOfAPipe();
    case FdKind::kSocket:
      return UniqueFd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    case FdKind::kEpoll:
      return UniqueFd(epoll_create1(EPOLL_CLOEXEC));
    case FdKind::kEvent:
      return UniqueFd(eventfd(0, EFD_CLOEXEC));
    case FdKind::kTimer:
      return UniqueFd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  }
  return UniqueFd();
}

}  // namespace

UniqueFd MakeFd(FdKind kind, uint64_t bytes) {
  UniqueFd fd = Make(kind, static_cast<off_t>(std::min(bytes, kMostBytes)));
  return fd ? std::move(fd) : UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC));
}

}  // namespace shoal::fuzz
