// Tells when two threads are at once where one at a time may be.
#pragma once

#include <atomic>

namespace shoal {

// In a debug build it always tells; in an optimised one, where it must cost no locked instruction,
// a thread that comes within some nanoseconds of another is missed. It orders nothing.
class OneAtATime {
 public:
  // From construction to destruction this thread is there, if it is alone.
  class Turn {
   public:
    explicit Turn(OneAtATime& place) : place_(place), alone_(place.Enter()) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      if (alone_) {
        place_.busy_.store(false, std::memory_order_relaxed);
      }
    }

    bool alone() const { return alone_; }

   private:
    OneAtATime& place_;
    const bool alone_;
  };

 private:
  // relaxed, here and above: it must not hide from ThreadSanitizer that nothing else orders the
  // two.
  bool Enter() {
#ifdef NDEBUG
    if (busy_.load(std::memory_order_relaxed)) {
      return false;
    }
    busy_.store(true, std::memory_order_relaxed);
    return true;
#else
    return !busy_.exchange(true, std::memory_order_relaxed);
#endif
  }

  std::atomic<bool> busy_ = false;
};

}  // namespace shoal
