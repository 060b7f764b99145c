// A file descriptor with one owner.
#pragma once

#include <unistd.h>

#include <utility>

namespace shoal {

// Closes its descriptor when destroyed. Movable, so that ownership can be seen in the code. A
// moved-from or default-constructed object owns nothing. Not synchronised: one thread at a time.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      Close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~UniqueFd() { Close(); }

  // The descriptor, or -1. It stays owned here.
  int get() const { return fd_; }

  explicit operator bool() const { return fd_ >= 0; }

  // Gives the descriptor to the caller.
  int Release() { return std::exchange(fd_, -1); }

 private:
  void Close() {
    if (fd_ >= 0) {
      close(fd_);
    }
  }

  int fd_ = -1;
};

}  // namespace shoal
