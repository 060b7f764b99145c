// A region: one mapping of shared memory that one process writes and its peer reads.
#pragma once

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// A region is backed by a memfd: it has no name, and when the last process that holds it is gone,
// so is its memory.
//
// The owner creates it, sends its descriptor to the peer and writes; the peer maps it and reads.
// Seals see to the rest: nobody can make the file shorter, longer or full of holes, so a reader is
// never hit by SIGBUS, and nobody but the owner's one mapping can write it, whatever the peer
// tries.
//
// Sizes are in bytes and multiples of the page size. Not synchronised: creating, moving, releasing
// and destroying are for one thread at a time; what is done to the memory itself is up to those who
// lay it out.
class Region {
 public:
  // What a region is made of. kHuge: pages of the system's huge page size where it has enough of
  // them free (vm.nr_hugepages), normal ones otherwise.
  enum class Pages { kNormal, kHuge };

  // The system's default huge page size in bytes, or the normal page size where there is none.
  static size_t HugePageBytes();

  // A zeroed region of `bytes`, mapped read-write, with all its memory allocated now, so that
  // exhaustion is an error here and not a signal at some later store. Costs about 1 us for each
  // page.
  //
  // kInvalidArgument: `bytes` is zero or no multiple of the page size. kResourceExhausted:
  // descriptors, the file size limit, memory or address space run out; the text has the limit, its
  // value and what to do. A memory cgroup that is full is no error that the kernel reports: it
  // kills.
  static absl::StatusOr<Region> Create(size_t bytes, Pages pages = Pages::kNormal);

  // The peer's region that came as `fd`, mapped read-only. Before it is mapped, it is verified to
  // be a memfd of normal pages (or huge ones, if `pages` says so) with all four seals, open for
  // reading and writing, of `expected_bytes`, and wholly allocated within them: what else it has
  // behind its end is given back. So the peer pays for all memory that is read here, and no read is
  // a SIGBUS for want of it. Costs about 1 us. `fd` is closed in any case.
  //
  // kInvalidArgument: `expected_bytes` as in Create(), or `fd` is empty. kDataLoss: the peer sent
  // something else; the text has the property, its value and the one expected. kResourceExhausted:
  // no address space.
  static absl::StatusOr<Region> Map(UniqueFd fd, size_t expected_bytes,
                                    Pages pages = Pages::kNormal);

  Region(Region&& other) noexcept;
  Region& operator=(Region&& other) noexcept;
  ~Region();

  // The first byte, page-aligned. Null in a moved-from region. Who stores into a region got by
  // Map() is hit by SIGSEGV.
  std::byte* data() const { return data_; }

  // In bytes.
  size_t size() const { return size_; }

  // Those of them that are in huge pages; known to the owner.
  size_t huge_page_bytes() const { return huge_page_bytes_; }

  // Touches every page, so that no later access has to wait for the system to map it.
  void Prefault() const;

  // The memfd to be sent to the peer; -1 in a region got by Map(), which needs none to stay mapped.
  int fd() const { return fd_.get(); }

  // Gives the memfd away, to be closed once it is sent; the region stays mapped.
  UniqueFd ReleaseFd() { return std::move(fd_); }

 private:
  Region(UniqueFd fd, std::byte* data, size_t size)
      : fd_(std::move(fd)), data_(data), size_(size) {}
  static absl::StatusOr<Region> CreateOf(size_t bytes, Pages pages);
  void Unmap();

  UniqueFd fd_;
  std::byte* data_;
  size_t size_;
  size_t huge_page_bytes_ = 0;
};

}  // namespace shoal
