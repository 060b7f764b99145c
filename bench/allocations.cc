#include "shoal/bench/allocations.h"

#include <cstddef>

namespace shoal {
namespace {

// malloc() has no argument to find a counter by.
thread_local uint64_t allocations = 0;

}  // namespace

uint64_t Allocations() { return allocations; }

}  // namespace shoal

#ifndef SHOAL_BENCH_SANITIZER_ALLOCATES

// glibc's own names for what is replaced here; free() takes what they give.
extern "C" {

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) noexcept {
  ++shoal::allocations;
  return __libc_malloc(size);
}

void* calloc(size_t count, size_t size) noexcept {
  ++shoal::allocations;
  return __libc_calloc(count, size);
}

void* realloc(void* memory, size_t size) noexcept {
  ++shoal::allocations;
  return __libc_realloc(memory, size);
}

void* aligned_alloc(size_t alignment, size_t size) noexcept {
  ++shoal::allocations;
  return __libc_memalign(alignment, size);
}

}  // extern "C"

#endif
