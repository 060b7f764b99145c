// What a process had done when it was killed.
#pragma once

#include <atomic>
#include <cstdint>

namespace shoal::faults {

// A page that a victim shares with its survivor: it is as true after a SIGKILL as before, and to
// write it costs the victim nothing, unlike a pipe. Where that fails, the process ends.
class Tally {
 public:
  // The survivor's. Its descriptor is inherited by the processes that this one starts.
  Tally();
  // The victim's, of the inherited descriptor.
  explicit Tally(int fd);
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;
  ~Tally();

  int fd() const { return fd_; }

  // Whether `fd` is a descriptor of the same page.
  bool IsSameFile(int fd) const;

  // How many messages the victim began to publish, and how many of them it knows to be visible.
  std::atomic<uint64_t>& begun() { return counters_[0]; }
  std::atomic<uint64_t>& published() { return counters_[1]; }

  // How many messages it has received and verified, and the bytes of payload in them.
  std::atomic<uint64_t>& received() { return counters_[2]; }
  std::atomic<uint64_t>& received_bytes() { return counters_[3]; }

  // All to zero, for the next victim.
  void Clear();

 private:
  void Map();

  int fd_;
  std::atomic<uint64_t>* counters_ = nullptr;
};

}  // namespace shoal::faults
