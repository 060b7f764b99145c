#include "shoal/bench/peers/zmq_peer.h"

#ifdef SHOAL_BENCH_HAS_ZMQ

#include <string.h>
#include <zmq.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/bench/word_sum.h"

namespace shoal {
namespace {

absl::Status Failure(const char* what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", zmq_strerror(zmq_errno())));
}

std::string Url(const std::string& address) { return absl::StrCat("ipc://@", address); }

// A socket with the one thread that serves it.
class Socket {
 public:
  explicit Socket(int type) : context_(zmq_ctx_new()), socket_(zmq_socket(context_, type)) {
    const int linger = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof(linger));
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }

  void* get() { return socket_; }

 private:
  void* context_;
  void* socket_;
};

class Message {
 public:
  Message() { zmq_msg_init(&message_); }
  explicit Message(uint64_t bytes) { zmq_msg_init_size(&message_, bytes); }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  ~Message() { zmq_msg_close(&message_); }

  zmq_msg_t* get() { return &message_; }
  void* data() { return zmq_msg_data(&message_); }
  uint64_t size() { return zmq_msg_size(&message_); }

 private:
  zmq_msg_t message_;
};

class Client final : public PeerClient {
 public:
  absl::Status Connect(const std::string& address) {
    return zmq_connect(socket_.get(), Url(address).c_str()) == 0 ? absl::OkStatus()
                                                                 : Failure("zmq_connect()");
  }

  absl::StatusOr<uint64_t> Ask(uint64_t sequence, uint64_t bytes) override {
    Message request(bytes);
    memset(request.data(), static_cast<int>(sequence & 0xff), bytes);
    if (zmq_msg_send(request.get(), socket_.get(), 0) < 0) {
      return Failure("zmq_msg_send()");
    }
    uint64_t sum;
    if (zmq_recv(socket_.get(), &sum, sizeof(sum), 0) != sizeof(sum)) {
      return Failure("zmq_recv()");
    }
    return sum;
  }

 private:
  Socket socket_{ZMQ_REQ};
};

absl::Status Serve(const std::string& address, void (*ready)()) {
  Socket socket(ZMQ_REP);
  if (zmq_bind(socket.get(), Url(address).c_str()) != 0) {
    return Failure("zmq_bind()");
  }
  ready();
  while (true) {
    Message request;
    if (zmq_msg_recv(request.get(), socket.get(), 0) < 0) {
      return Failure("zmq_msg_recv()");
    }
    const uint64_t sum = WordSum(request.data(), request.size());
    if (zmq_send(socket.get(), &sum, sizeof(sum), 0) < 0) {
      return Failure("zmq_send()");
    }
  }
}

// A socket in the abstract namespace goes with its process.
void CleanUp(const std::string&) {}

}  // namespace

std::optional<PeerLibrary> ZmqPeer() {
  return PeerLibrary{"zmq", Serve, ConnectNew<Client>, CleanUp};
}

}  // namespace shoal

#else

namespace shoal {

std::optional<PeerLibrary> ZmqPeer() { return std::nullopt; }

}  // namespace shoal

#endif
