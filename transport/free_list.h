// Objects that any thread gives back and one thread takes again.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace shoal {

// A Treiber stack with one taker, who takes all that was given at once; so there is no ABA problem,
// no lock, and no allocation once as many objects exist as are ever in use. T has a member `T*
// next`, the list's while the object is in it.
//
// The taker closes the list when it takes no more; objects in it are deleted then, so they may own
// what the list lies in.
template <typename T>
class FreeList {
 public:
  FreeList() = default;
  FreeList(const FreeList&) = delete;
  FreeList& operator=(const FreeList&) = delete;

  ~FreeList() { Close(); }

  // Any thread. False when the list is closed, and `object` is still the caller's.
  [[nodiscard]] bool Give(T* object) {
    // relaxed: the exchange below fails if it was out of date.
    T* last = given_.load(std::memory_order_relaxed);
    do {
      if (last == Closed()) {
        return false;
      }
      object->next = last;
      // release: its partner is the acquire of those who take; the giver's last use comes before
      // the next use.
    } while (!given_.compare_exchange_weak(last, object, std::memory_order_release,
                                           std::memory_order_relaxed));
    return true;
  }

  // One thread at a time, before Close(). An object that was given back, or nullptr.
  T* Take() {
    // The look is relaxed: what it sees is taken by the exchange alone. acquire: its partner is the
    // release in Give().
    if (taken_ == nullptr && given_.load(std::memory_order_relaxed) != nullptr) {
      taken_ = given_.exchange(nullptr, std::memory_order_acquire);
    }
    T* object = taken_;
    if (object != nullptr) {
      taken_ = object->next;
    }
    return object;
  }

  // On the taker's thread: nothing is taken or given any more.
  void Close() {
    DeleteAll(std::exchange(taken_, nullptr));
    // acquire: its partner is the release in Give().
    T* given = given_.exchange(Closed(), std::memory_order_acquire);
    DeleteAll(given == Closed() ? nullptr : given);
  }

 private:
  // No object lies at this address.
  static T* Closed() { return reinterpret_cast<T*>(uintptr_t{1}); }

  static void DeleteAll(T* object) {
    while (object != nullptr) {
      delete std::exchange(object, object->next);
    }
  }

  std::atomic<T*> given_ = nullptr;
  T* taken_ = nullptr;  // the taker's own
};

}  // namespace shoal
