// The answering side of a benchmark, in a process of its own.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace shoal {

// Owns a child process that runs this program as `--FLAG=ADDRESS`, which prints `serving ADDRESS`
// when it can be reached. It ends when this object or the
// starting thread does, whatever ends that. Use from the thread that started it.
class ServerProcess {
 public:
  // Returns when the server can be reached. Fails with kUnavailable where it could not start; the
  // child has then said why on standard error.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(const std::string& address,
                                                              const std::string& flag = "serve");

  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess();

  // Where the server listens, with the port that it chose.
  const std::string& address() const { return address_; }

  pid_t pid() const { return pid_; }

  // Ends the process and waits until it is gone. Fails with kInternal where it did not end cleanly.
  absl::Status Stop();

 private:
  explicit ServerProcess(pid_t pid) : pid_(pid) {}

  std::string address_;
  pid_t pid_;  // 0 once it was waited for
};

// An address of the transport "shm", "unix" or "tcp" that nobody else uses, for Start(). A Unix
// socket's is in $TMPDIR, or /tmp; over TCP the port is 0, and the server says which one it got.
std::string UnusedAddress(const std::string& transport);

}  // namespace shoal
