#include "shoal/tests/faults/tally.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace shoal::faults {
namespace {

constexpr size_t kBytes = 4096;
static_assert(std::atomic<uint64_t>::is_always_lock_free);

}  // namespace

Tally::Tally() : fd_(memfd_create("tally", 0)) {
  if (fd_ < 0 || ftruncate(fd_, kBytes) != 0) {
    abort();
  }
  Map();
}

Tally::Tally(int fd) : fd_(fd) { Map(); }

Tally::~Tally() {
  munmap(counters_, kBytes);
  close(fd_);
}

void Tally::Map() {
  void* page = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (page == MAP_FAILED) {
    abort();
  }
  counters_ = static_cast<std::atomic<uint64_t>*>(page);
}

void Tally::Clear() {
  begun() = 0;
  published() = 0;
  received() = 0;
  received_bytes() = 0;
}

bool Tally::IsSameFile(int fd) const {
  struct stat mine, other;
  return fstat(fd_, &mine) == 0 && fstat(fd, &other) == 0 && mine.st_dev == other.st_dev &&
         mine.st_ino == other.st_ino;
}

}  // namespace shoal::faults
