#include "shoal/transport/stats.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/transport/outbox.h"
#include "shoal/transport/region.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {
namespace {

// The counter page behind a descriptor of another process, or nothing if it is none.
std::optional<ObservedChannel> Observe(const std::filesystem::path& descriptor) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::read_symlink(descriptor, error);
  if (error || target.string().rfind("/memfd:shoal", 0) != 0) {
    return std::nullopt;
  }
  // As its peer has it; the seals allow nobody to write.
  UniqueFd fd(open(descriptor.c_str(), O_RDWR | O_CLOEXEC));
  struct stat file {};
  if (!fd || fstat(fd.get(), &file) != 0 || file.st_size != getpagesize()) {
    return std::nullopt;
  }
  const absl::StatusOr<Region> region =
      Region::Map(std::move(fd), static_cast<size_t>(file.st_size));
  if (!region.ok()) {
    return std::nullopt;
  }
  const auto& page = *reinterpret_cast<const CounterPage*>(region->data());
  const CounterPage::Header header = page.header;
  if (header.magic != CounterPage::kMagic || header.version != kProtocolVersion) {
    return std::nullopt;
  }
  return ObservedChannel{.epoch = header.epoch,
                         .peer_pid = static_cast<pid_t>(header.peer_pid),
                         .peer_uid = header.peer_uid,
                         .slots = header.slots,
                         .loans = header.receipts,
                         .stats = StatsOf(page.written, page.read)};
}

}  // namespace

ChannelStats StatsOf(const WriterCounters& written, const ReaderCounters& read) {
  return {
      .messages_sent = written.messages.value(),
      .messages_received = read.messages.value(),
      .bytes_sent = written.bytes.value(),
      .bytes_received = read.bytes.value(),
      .segments_sent = written.segments.value(),
      .segments_received = read.segments.value(),
      .words_copied_out = written.copied_words.value(),
      .words_copied_in = read.copied_words.value(),
      .claims = written.claims.value(),
      .most_claims = written.most_claims.value(),
      .spills = written.spills.value(),
      .spin_hits = written.waits.spin_hits.value() + read.waits.spin_hits.value(),
      .parks = written.waits.parks.value() + read.waits.parks.value(),
      .spurious_wakes = written.waits.spurious_wakes.value() + read.waits.spurious_wakes.value(),
      .rings = written.rings.value() + read.rings.value(),
      .blocks_claimed = written.claimed_blocks.value(),
      .blocks_lent = written.lent_blocks.value(),
      .slabs = written.slabs.value(),
      .slabs_bytes = written.slabs_bytes.value(),
      .huge_page_bytes = written.huge_page_bytes.value()};
}

absl::StatusOr<std::vector<ObservedChannel>> ObserveChannels(pid_t pid) {
  const std::string folder = absl::StrCat("/proc/", pid, "/fd");
  std::error_code error;
  std::vector<ObservedChannel> channels;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (std::optional<ObservedChannel> channel = Observe(it->path())) {
      channels.push_back(*channel);
    }
  }
  if (error.value() == EACCES || error.value() == EPERM) {
    return absl::PermissionDeniedError(
        absl::StrCat("user id ", geteuid(), " may not look at process ", pid,
                     "; its channels are seen by its own user, and by root"));
  }
  if (error) {
    return absl::UnavailableError(absl::StrCat("process ", pid, ": ", error.message()));
  }
  return channels;
}

}  // namespace shoal
