#include "shoal/transport/region.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "shoal/transport/system_error.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace shoal {
namespace {

// Once the owner has mapped the file these leave its mapping the only one that can write.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

// fallocate() interrupted by a signal starts anew: a piece is short enough to end between two ticks
// of a profiler.
constexpr size_t kAllocationPiece = size_t{1} << 20;

constexpr uint64_t kStatBlock = 512;  // the unit of st_blocks on every file system

absl::Status CheckSize(size_t bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (bytes == 0 || bytes % page != 0 || bytes > std::numeric_limits<ptrdiff_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat("a region of ", bytes,
                                                   " bytes: its size must be a multiple of the ",
                                                   "page size of ", page, " and not zero"));
  }
  return absl::OkStatus();
}

// What can be allocated before the kernel starts to kill, or nothing where it does not tell.
std::optional<uint64_t> AvailableMemory() {
  std::ifstream meminfo("/proc/meminfo");
  std::optional<uint64_t> available;
  std::string field;
  std::string unit;
  uint64_t kibibytes = 0;
  while (meminfo >> field >> kibibytes && std::getline(meminfo, unit)) {
    if (field == "MemAvailable:" || field == "SwapFree:") {
      available = available.value_or(0) + kibibytes * 1024;
    }
  }
  return available;
}

absl::Status CheckLimits(size_t bytes) {
  // A file beyond this limit is answered by SIGXFSZ.
  rlimit file_size{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  getrlimit(RLIMIT_FSIZE, &file_size);  // unlimited where that cannot be asked
  if (file_size.rlim_cur != RLIM_INFINITY && bytes > file_size.rlim_cur) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a region of ", bytes, " bytes is over RLIMIT_FSIZE, which is ",
                     file_size.rlim_cur, ": raise it (ulimit -f) or choose a smaller region"));
  }
  // fallocate() takes what it can get and then sends for the out-of-memory killer.
  const std::optional<uint64_t> available = AvailableMemory();
  if (available && bytes > *available) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a region of ", bytes, " bytes does not fit in the ", *available,
                     " bytes of memory and swap available: choose a smaller region"));
  }
  return absl::OkStatus();
}

absl::Status CreateError(size_t bytes, std::string_view call, int error) {
  return CallFailed(error, call, absl::StrCat("creating a region of ", bytes, " bytes"));
}

absl::Status MapError(size_t bytes, int error) {
  const std::string what = absl::StrCat("mapping a region of ", bytes, " bytes: ");
  if (error == ENOMEM) {
    return absl::ResourceExhaustedError(absl::StrCat(
        what, "no address space left; RLIMIT_AS is ", SoftLimit(RLIMIT_AS),
        ": raise it (ulimit -v), or vm.max_map_count if this process has that many mappings"));
  }
  return absl::InternalError(absl::StrCat(what, strerror(error)));
}

// A descriptor below 0 has errno set.
UniqueFd CreateMemfd(Region::Pages pages) {
  const unsigned flags =
      MFD_CLOEXEC | MFD_ALLOW_SEALING | (pages == Region::Pages::kHuge ? MFD_HUGETLB : 0);
  // vm.memfd_noexec=2 wants the file never to be executable; Linux before 6.3, or a filter, does
  // not know the flag.
  UniqueFd fd(memfd_create("shoal", flags | MFD_NOEXEC_SEAL));
  return fd || !IsRefusal(errno) ? std::move(fd) : UniqueFd(memfd_create("shoal", flags));
}

// Writes a byte into each page, which allocates it: for systems without fallocate(). A store into
// the mapping would do that too, and answer a lack of memory by SIGBUS. 0 or errno.
int AllocateByWriting(int fd, size_t bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (size_t offset = 0; offset < bytes;) {
    if (pwrite(fd, "", 1, static_cast<off_t>(offset)) == 1) {
      offset += page;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

// 0 or errno.
int Allocate(int fd, size_t bytes) {
  for (size_t offset = 0; offset < bytes;) {
    const size_t piece = std::min(kAllocationPiece, bytes - offset);
    if (fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(piece)) == 0) {
      offset += piece;
    } else if (IsRefusal(errno) || errno == EOPNOTSUPP) {
      return AllocateByWriting(fd, bytes);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

absl::Status WrongProperty(const char* property, uint64_t value, const char* relation,
                           uint64_t expected) {
  return absl::DataLossError(absl::StrCat("the peer's region: ", property, " is ", value,
                                          ", expected ", relation, expected));
}

// Gives back what is allocated behind the file's end, which st_blocks counts as well and which
// could stand in for holes before it. Truncating to the size that a file has does just that, and
// the seals let nothing come after. `bytes` is that size: a larger one may be answered by SIGXFSZ.
// False with errno set.
bool DropWhatIsBehindTheEnd(int fd, uint64_t bytes) {
  int truncated;
  do {
    truncated = ftruncate(fd, static_cast<off_t>(bytes));
  } while (truncated != 0 && errno == EINTR);
  return truncated == 0;
}

// The seals come first: only they make the other properties stay as they are, and asking for them
// cannot hang, as fstat() of a file that a FUSE daemon serves can.
absl::Status VerifyPeersFile(int fd, size_t expected_bytes, Region::Pages pages) {
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 && (errno == EPERM || errno == ENOSYS)) {  // no file's own answer
    return CallRefused(errno, "fcntl(F_GET_SEALS)", "checking the peer's region");
  }
  if (seals < 0) {
    return absl::DataLossError(absl::StrCat(
        "the peer's region: file type has no seals, expected a memfd (", strerror(errno), ")"));
  }
  if ((seals & kSeals) != kSeals) {
    return absl::DataLossError(absl::StrCat("the peer's region: seals are 0x", absl::Hex(seals),
                                            ", expected at least 0x", absl::Hex(kSeals),
                                            " (F_SEAL_SHRINK|GROW|FUTURE_WRITE|SEAL)"));
  }
  if (const int flags = fcntl(fd, F_GETFL); (flags & O_ACCMODE) != O_RDWR) {
    return absl::DataLossError(absl::StrCat("the peer's region: its descriptor is open with flags ",
                                            flags, ", expected O_RDWR, ", O_RDWR));
  }
  struct statfs file_system {};
  if (fstatfs(fd, &file_system) != 0) {
    return CallRefused(errno, "fstatfs", "checking the peer's region");
  }
  if (file_system.f_type == HUGETLBFS_MAGIC && pages != Region::Pages::kHuge) {
    return absl::DataLossError(
        "the peer's region: it is in huge pages, expected normal ones; set "
        "ChannelOptions::huge_pages on this side too");
  }
  if (file_system.f_type != TMPFS_MAGIC && file_system.f_type != HUGETLBFS_MAGIC) {
    return absl::DataLossError(absl::StrCat("the peer's region: file system is 0x",
                                            absl::Hex(file_system.f_type), ", expected tmpfs, 0x",
                                            absl::Hex(TMPFS_MAGIC), ", with normal pages"));
  }
  struct stat file {};
  if (fstat(fd, &file) != 0) {
    return CallRefused(errno, "fstat", "checking the peer's region");
  }
  const uint64_t bytes = static_cast<uint64_t>(file.st_size);
  if (bytes != expected_bytes) {
    return WrongProperty("size in bytes", bytes, "", expected_bytes);
  }
  if (!DropWhatIsBehindTheEnd(fd, bytes) || fstat(fd, &file) != 0) {
    return CallRefused(errno, "ftruncate", "checking the peer's region");
  }
  const uint64_t allocated = static_cast<uint64_t>(file.st_blocks) * kStatBlock;
  if (allocated < bytes) {
    return WrongProperty("memory allocated in bytes", allocated, "at least ", bytes);
  }
  return absl::OkStatus();
}

}  // namespace

size_t Region::HugePageBytes() {
  std::ifstream meminfo("/proc/meminfo");
  std::string line;
  while (std::getline(meminfo, line)) {
    size_t kibibytes = 0;
    if (std::sscanf(line.c_str(), "Hugepagesize: %zu kB", &kibibytes) == 1) {
      return kibibytes * 1024;
    }
  }
  return static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

absl::StatusOr<Region> Region::Create(size_t bytes, Pages pages) {
  if (pages == Pages::kHuge && bytes % HugePageBytes() == 0) {
    absl::StatusOr<Region> huge = CreateOf(bytes, Pages::kHuge);
    if (huge.ok()) {
      huge->huge_page_bytes_ = bytes;
      return huge;
    }
  }
  return CreateOf(bytes, Pages::kNormal);
}

absl::StatusOr<Region> Region::CreateOf(size_t bytes, Pages pages) {
  if (absl::Status size = CheckSize(bytes); !size.ok()) {
    return size;
  }
  if (absl::Status limits = CheckLimits(bytes); !limits.ok()) {
    return limits;
  }
  UniqueFd fd = CreateMemfd(pages);
  if (!fd) {
    return CreateError(bytes, "memfd_create", errno);
  }
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    return CreateError(bytes, "ftruncate", errno);
  }
  // Mapped first: that address space is short costs nothing to find out.
  void* const data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED) {
    return MapError(bytes, errno);
  }
  Region region(std::move(fd), static_cast<std::byte*>(data), bytes);
  if (const int error = Allocate(region.fd(), bytes); error != 0) {
    return CreateError(bytes, "fallocate", error);
  }
  if (fcntl(region.fd(), F_ADD_SEALS, kSeals) != 0) {
    return CallRefused(errno, "fcntl(F_ADD_SEALS)", "sealing a region");
  }
  return region;
}

absl::StatusOr<Region> Region::Map(UniqueFd fd, size_t expected_bytes, Pages pages) {
  if (absl::Status size = CheckSize(expected_bytes); !size.ok()) {
    return size;
  }
  if (!fd) {
    return absl::InvalidArgumentError("mapping the peer's region: no descriptor was given");
  }
  if (absl::Status file = VerifyPeersFile(fd.get(), expected_bytes, pages); !file.ok()) {
    return file;
  }
  void* const data = mmap(nullptr, expected_bytes, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED) {
    return MapError(expected_bytes, errno);
  }
  return Region(UniqueFd(), static_cast<std::byte*>(data), expected_bytes);
}

Region::Region(Region&& other) noexcept
    : fd_(std::move(other.fd_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      huge_page_bytes_(std::exchange(other.huge_page_bytes_, 0)) {}

Region& Region::operator=(Region&& other) noexcept {
  if (this != &other) {
    Unmap();
    fd_ = std::move(other.fd_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    huge_page_bytes_ = std::exchange(other.huge_page_bytes_, 0);
  }
  return *this;
}

Region::~Region() { Unmap(); }

void Region::Prefault() const {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (size_t offset = 0; offset < size_; offset += page) {
    // A read is enough: a shared page is mapped for writing as well where that is allowed.
    static_cast<void>(*static_cast<const volatile std::byte*>(data_ + offset));
  }
}

void Region::Unmap() {
  if (data_ != nullptr) {
    munmap(data_, size_);
  }
}

}  // namespace shoal
