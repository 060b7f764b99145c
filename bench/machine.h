// What a figure depends on besides the code that was measured.
#pragma once

#include <string>

namespace shoal {

struct Machine {
  std::string cpu;           // the model, as /proc/cpuinfo has it
  std::string kernel;        // system, release and architecture
  std::string capnp;         // the version that this program was compiled with
  std::string abseil;        // likewise; "head" where it is no release
  std::string compiler;      // its name and version
  std::string compile_mode;  // "optimised" or "not optimised"
  int client_cpu;            // where the client was pinned
  int server_cpu;            // and where the server was

  // Whether the two sides can run at the same time.
  bool HasTwoCpus() const { return client_cpu != server_cpu; }
};

// This one. What cannot be told is "unknown".
Machine ThisMachine(int client_cpu, int server_cpu);

}  // namespace shoal
