#include "shoal/bench/peers/nng_peer.h"

#ifdef SHOAL_BENCH_HAS_NNG

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <string.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/bench/word_sum.h"

namespace shoal {
namespace {

absl::Status ToStatus(const char* what, int error) {
  return error == 0 ? absl::OkStatus()
                    : absl::UnavailableError(absl::StrCat(what, ": ", nng_strerror(error)));
}

std::string Url(const std::string& address) { return absl::StrCat("abstract://", address); }

class Socket {
 public:
  explicit Socket(int (*open)(nng_socket*)) {
    open(&socket_);
    nng_socket_set_size(socket_, NNG_OPT_RECVMAXSZ, 0);  // unlimited
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { nng_close(socket_); }

  nng_socket get() const { return socket_; }

 private:
  nng_socket socket_ = NNG_SOCKET_INITIALIZER;
};

// What was received, to be freed.
struct FreeMessage {
  void operator()(nng_msg* message) const { nng_msg_free(message); }
};
using Message = std::unique_ptr<nng_msg, FreeMessage>;

absl::StatusOr<Message> Receive(const Socket& socket) {
  nng_msg* message = nullptr;
  absl::Status received = ToStatus("nng_recvmsg()", nng_recvmsg(socket.get(), &message, 0));
  if (!received.ok()) {
    return received;
  }
  return Message(message);
}

// Sends a message of `bytes` bytes that `write(body)` writes.
template <typename Write>
absl::Status Send(const Socket& socket, uint64_t bytes, Write write) {
  nng_msg* message = nullptr;
  if (absl::Status made = ToStatus("nng_msg_alloc()", nng_msg_alloc(&message, bytes)); !made.ok()) {
    return made;
  }
  write(nng_msg_body(message));
  absl::Status sent = ToStatus("nng_sendmsg()", nng_sendmsg(socket.get(), message, 0));
  if (!sent.ok()) {
    nng_msg_free(message);
  }
  return sent;
}

class Client final : public PeerClient {
 public:
  absl::Status Connect(const std::string& address) {
    return ToStatus("nng_dial()", nng_dial(socket_.get(), Url(address).c_str(), nullptr, 0));
  }

  absl::StatusOr<uint64_t> Ask(uint64_t sequence, uint64_t bytes) override {
    absl::Status sent = Send(socket_, bytes, [&](void* body) {
      memset(body, static_cast<int>(sequence & 0xff), bytes);
    });
    if (!sent.ok()) {
      return sent;
    }
    const absl::StatusOr<Message> answer = Receive(socket_);
    if (!answer.ok()) {
      return answer.status();
    }
    uint64_t sum = 0;
    memcpy(&sum, nng_msg_body(answer->get()),
           nng_msg_len(answer->get()) < sizeof(sum) ? 0 : sizeof(sum));
    return sum;
  }

 private:
  const Socket socket_{nng_req0_open};
};

absl::Status Serve(const std::string& address, void (*ready)()) {
  const Socket socket(nng_rep0_open);
  absl::Status done =
      ToStatus("nng_listen()", nng_listen(socket.get(), Url(address).c_str(), nullptr, 0));
  if (done.ok()) {
    ready();
  }
  while (done.ok()) {
    const absl::StatusOr<Message> request = Receive(socket);
    if (!request.ok()) {
      return request.status();
    }
    const uint64_t sum = WordSum(nng_msg_body(request->get()), nng_msg_len(request->get()));
    done = Send(socket, sizeof(sum), [&](void* body) { memcpy(body, &sum, sizeof(sum)); });
  }
  return done;
}

// A socket in the abstract namespace goes with its process.
void CleanUp(const std::string&) {}

}  // namespace

std::optional<PeerLibrary> NngPeer() {
  return PeerLibrary{"nng", Serve, ConnectNew<Client>, CleanUp};
}

}  // namespace shoal

#else

namespace shoal {

std::optional<PeerLibrary> NngPeer() { return std::nullopt; }

}  // namespace shoal

#endif
