#include "shoal/bench/peers/boost_peer.h"

#ifdef SHOAL_BENCH_HAS_BOOST

#include <string.h>

#include <boost/interprocess/ipc/message_queue.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "shoal/bench/word_sum.h"

namespace shoal {
namespace {

using boost::interprocess::message_queue;
using boost::interprocess::open_only;

// More than one message is never on its way.
constexpr size_t kDepth = 2;

std::string Requests(const std::string& address) { return absl::StrCat(address, "-requests"); }
std::string Answers(const std::string& address) { return absl::StrCat(address, "-answers"); }

absl::Status Failure(const boost::interprocess::interprocess_exception& exception) {
  return absl::UnavailableError(
      absl::StrCat("boost::interprocess::message_queue: ", exception.what()));
}

class Client final : public PeerClient {
 public:
  explicit Client(const std::string& address)
      : requests_(open_only, Requests(address).c_str()),
        answers_(open_only, Answers(address).c_str()),
        buffer_(kMaxPeerBytes) {}

  absl::StatusOr<uint64_t> Ask(uint64_t sequence, uint64_t bytes) override {
    try {
      memset(buffer_.data(), static_cast<int>(sequence & 0xff), bytes);
      requests_.send(buffer_.data(), bytes, /*priority=*/0);
      uint64_t sum = 0;
      message_queue::size_type size;
      unsigned priority;
      answers_.receive(&sum, sizeof(sum), size, priority);
      return sum;
    } catch (const boost::interprocess::interprocess_exception& exception) {
      return Failure(exception);
    }
  }

 private:
  message_queue requests_;
  message_queue answers_;
  std::vector<char> buffer_;
};

[[noreturn]] void AnswerAll(message_queue& requests, message_queue& answers) {
  std::vector<char> buffer(kMaxPeerBytes);
  while (true) {
    message_queue::size_type size;
    unsigned priority;
    requests.receive(buffer.data(), buffer.size(), size, priority);
    const uint64_t sum = WordSum(buffer.data(), size);
    answers.send(&sum, sizeof(sum), /*priority=*/0);
  }
}

absl::Status Serve(const std::string& address, void (*ready)()) {
  try {
    using boost::interprocess::create_only;
    message_queue requests(create_only, Requests(address).c_str(), kDepth, kMaxPeerBytes);
    message_queue answers(create_only, Answers(address).c_str(), kDepth, sizeof(uint64_t));
    ready();
    AnswerAll(requests, answers);
  } catch (const boost::interprocess::interprocess_exception& exception) {
    return Failure(exception);
  }
}

absl::StatusOr<std::unique_ptr<PeerClient>> Connect(const std::string& address) {
  try {
    return std::make_unique<Client>(address);
  } catch (const boost::interprocess::interprocess_exception& exception) {
    return Failure(exception);
  }
}

void CleanUp(const std::string& address) {
  message_queue::remove(Requests(address).c_str());
  message_queue::remove(Answers(address).c_str());
}

}  // namespace

std::optional<PeerLibrary> BoostPeer() { return PeerLibrary{"boost mq", Serve, Connect, CleanUp}; }

}  // namespace shoal

#else

namespace shoal {

std::optional<PeerLibrary> BoostPeer() { return std::nullopt; }

}  // namespace shoal

#endif
