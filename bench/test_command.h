// A program as a user runs it.
#pragma once

#include <stdio.h>
#include <sys/wait.h>

#include <string>

namespace shoal {

struct Outcome {
  int exit_status;
  std::string output;  // of standard output and standard error together
};

// Runs `command` in a shell, and returns when it has ended.
inline Outcome RunCommand(const std::string& command) {
  FILE* output = popen(("exec " + command + " 2>&1").c_str(), "r");
  Outcome outcome;
  for (int c = fgetc(output); c != EOF; c = fgetc(output)) {
    outcome.output.push_back(static_cast<char>(c));
  }
  outcome.exit_status = WEXITSTATUS(pclose(output));
  return outcome;
}

}  // namespace shoal
