// Counting exactly what a process executes, where no hardware counts: by stepping through it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace shoal {

enum class Counted {
  kNothing,       // the process runs untraced, which is always allowed
  kInstructions,  // some microseconds each: the process is stopped after every one
  kSystemCalls,   // without those that only read the clock, which are none where the vDSO can
};

struct Trace {
  std::vector<uint64_t> sections;  // what was counted in each, marks included
  std::string output;              // what the process wrote to its standard output
};

// Runs this program with `arguments`, counts what its first thread does in each section, and
// returns when it has ended.
//
// The same program gives the same counts, nearly: it gets no environment but one that makes glibc
// choose the same memset() and memcpy() on every x86-64, and its memory is at the same addresses in
// every run where the system allows that. It shares the CPU that the calling thread is on with it,
// as each instruction goes back and forth between the two.
//
// kPermissionDenied where this process may not trace another. kInternal where the process does not
// end well, or writes more than a pipe holds (64 KiB).
absl::StatusOr<Trace> TraceThisProgram(const std::vector<std::string>& arguments, Counted counted);

// In the traced process: begins a section, or ends the one that was begun. Does nothing in a
// process that is not traced.
void MarkSection();

}  // namespace shoal
