// What libFuzzer calls; SHOAL_FUZZ is the target, SHOAL_FUZZ_HEADER declares it.
#include <cstddef>
#include <cstdint>

#include SHOAL_FUZZ_HEADER

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  shoal::fuzz::SHOAL_FUZZ({data, size}).IgnoreError();
  return 0;
}
