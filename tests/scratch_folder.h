// A place for the files of a test.
#pragma once

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>

namespace shoal {

// A folder that is removed with all that is in it. It is in /tmp and not below the test's own
// folder: a socket's path has room for 107 bytes. Throws where none can be made.
class ScratchFolder {
 public:
  ScratchFolder() : path_("/tmp/shoal-test-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), path_);
    }
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace shoal
