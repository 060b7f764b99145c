// Objects that any thread gives back and one thread takes again.
#pragma once

#include <atomic>

namespace shoal {

// A Treiber stack with one taker, who takes all that was given at once; so there is no ABA problem,
// no lock, and no allocation once as many objects exist as are ever in use. T has a member `T*
// next`, the list's while the object is in it. Objects still in the list are deleted with it.
template <typename T>
class FreeList {
 public:
  FreeList() = default;
  FreeList(const FreeList&) = delete;
  FreeList& operator=(const FreeList&) = delete;

  ~FreeList() {
    while (T* object = Take()) {
      delete object;
    }
  }

  // Any thread.
  void Give(T* object) {
    // relaxed: the exchange below fails if it was out of date.
    object->next = given_.load(std::memory_order_relaxed);
    // release: its partner is the acquire in Take(); the giver's last use comes before the next
    // use.
    while (!given_.compare_exchange_weak(object->next, object, std::memory_order_release,
                                         std::memory_order_relaxed)) {
    }
  }

  // One thread at a time. An object that was given back, or nullptr.
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

 private:
  std::atomic<T*> given_ = nullptr;
  T* taken_ = nullptr;  // the taker's own
};

}  // namespace shoal
