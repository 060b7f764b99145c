// A server of pings in a process of its own.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace shoal {

// Owns a child process that runs this program as `--serve=ADDRESS`. It ends when this object or the
// starting thread does, whatever ends that. Use from the thread that started it.
class PingProcess {
 public:
  // Returns when the server can be reached. Fails with kUnavailable where it could not start; the
  // child has then said why on standard error.
  static absl::StatusOr<std::unique_ptr<PingProcess>> Start(const std::string& address);

  PingProcess(const PingProcess&) = delete;
  PingProcess& operator=(const PingProcess&) = delete;
  ~PingProcess();

  // Where the server listens, with the port that it chose.
  const std::string& address() const { return address_; }

  // Ends the process and waits until it is gone. Fails with kInternal where it did not end cleanly.
  absl::Status Stop();

 private:
  explicit PingProcess(pid_t pid) : pid_(pid) {}

  std::string address_;
  pid_t pid_;  // 0 once it was waited for
};

}  // namespace shoal
