// How often a thread has asked for memory.
#pragma once

#include <cstdint>

namespace shoal {

// Linking this replaces malloc(), calloc(), realloc() and aligned_alloc() of the whole program, and
// so `new`, by such as count and pass on: a nanosecond each. Not with sanitizers, which have their
// own.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SHOAL_BENCH_SANITIZER_ALLOCATES
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHOAL_BENCH_SANITIZER_ALLOCATES
#endif
#ifdef SHOAL_BENCH_SANITIZER_ALLOCATES
constexpr bool kCountsAllocations = false;
#else
constexpr bool kCountsAllocations = true;
#endif

// Of the calling thread, in the program and in every library; 0 where they are not counted.
uint64_t Allocations();

}  // namespace shoal
