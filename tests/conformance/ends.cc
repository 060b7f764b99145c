#include "shoal/tests/conformance/ends.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>
#include <utility>

#include "shoal/tests/child_process.h"
#include "shoal/tests/conformance/far_end.h"
#include "shoal/tests/conformance/outboxes.h"
#include "shoal/tests/conformance/pattern.h"
#include "shoal/transport/test_process.h"

namespace shoal::conformance {
namespace {

std::unique_ptr<Channel> Must(absl::StatusOr<std::unique_ptr<Channel>> channel) {
  EXPECT_TRUE(channel.ok()) << channel.status();
  return channel.ok() ? *std::move(channel) : nullptr;
}

class SameThread final : public Ends {
 public:
  SameThread(const std::string& outbox, const ChannelOptions& options) {
    const UniqueAddress address("shm");
    auto listener = Listen(address.text(), FarOptions(OptionsFor(outbox)));
    EXPECT_TRUE(listener.ok()) << listener.status();
    std::thread connect([&] { near_ = Must(shoal::Connect(address.text(), options)); });
    far_ = std::make_unique<FarEnd>(Must((*listener)->Accept()), gate());
    connect.join();
  }

  void Pump() override {
    while (far_->Step()) {
    }
  }

  absl::Duration patience() const override { return absl::ZeroDuration(); }

 private:
  std::unique_ptr<FarEnd> far_;
};

class TwoThreads final : public Ends {
 public:
  TwoThreads(const std::string& outbox, const ChannelOptions& options) {
    const UniqueAddress address("shm");
    auto listener = Listen(address.text(), FarOptions(OptionsFor(outbox)));
    EXPECT_TRUE(listener.ok()) << listener.status();
    far_ = std::thread([this, listener = *std::move(listener)] {
      FarEnd(Must(listener->Accept()), gate()).Run();
    });
    near_ = Must(shoal::Connect(address.text(), options));
  }

  ~TwoThreads() override {
    OpenGate();
    LeaveNear();
    far_.join();
  }

 private:
  std::thread far_;
};

class Fork final : public Ends {
 public:
  Fork(const std::string& outbox, const ChannelOptions& options) {
    const UniqueAddress address("shm");
    auto listener = Listen(address.text(), options);
    EXPECT_TRUE(listener.ok()) << listener.status();
    far_ = shoal::Fork();
    if (far_ == 0) {
      auto channel = shoal::Connect(address.text(), FarOptions(OptionsFor(outbox)));
      if (channel.ok()) {
        FarEnd(*std::move(channel), gate()).Run();
      }
      _exit(0);
    }
    near_ = Must((*listener)->Accept());
  }

  ~Fork() override {
    OpenGate();
    LeaveNear();
    waitpid(far_, nullptr, 0);
  }

  void Kill() override { kill(far_, SIGKILL); }

 private:
  pid_t far_;
};

class Exec final : public Ends {
 public:
  Exec(const std::string& transport, const std::string& outbox, const ChannelOptions& options)
      : address_(transport),
        far_({"tests/conformance/far_process", address_.text(), gate_path(), outbox}) {
    near_ = Must(shoal::Connect(far_.ReadLine(), options));
  }

  ~Exec() override {
    OpenGate();
    LeaveNear();
    far_.Wait();
  }

  void Kill() override { far_.Signal(SIGKILL); }

 private:
  UniqueAddress address_;
  ChildProcess far_;
};

}  // namespace

std::string NameOf(Driver driver) {
  switch (driver) {
    case Driver::kSameThread:
      return "SameThread";
    case Driver::kTwoThreads:
      return "TwoThreads";
    case Driver::kFork:
      return "Fork";
    case Driver::kExec:
      return "Exec";
    case Driver::kUnixSocket:
      return "UnixSocket";
    case Driver::kTcp:
      return "Tcp";
  }
  return "";
}

std::unique_ptr<Ends> Ends::Connect(Driver driver, const std::string& outbox,
                                    const ChannelOptions& options) {
  switch (driver) {
    case Driver::kSameThread:
      return std::make_unique<SameThread>(outbox, options);
    case Driver::kTwoThreads:
      return std::make_unique<TwoThreads>(outbox, options);
    case Driver::kFork:
      return std::make_unique<Fork>(outbox, options);
    case Driver::kExec:
      return std::make_unique<Exec>("shm", outbox, options);
    case Driver::kUnixSocket:
      return std::make_unique<Exec>("unix", outbox, options);
    case Driver::kTcp:
      return std::make_unique<Exec>("tcp", outbox, options);
  }
  return nullptr;
}

Ends::Ends() : gate_path_(folder_.path() + "/gate") {
  EXPECT_EQ(mkfifo(gate_path_.c_str(), 0600), 0);
  gate_ = open(gate_path_.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_GE(gate_, 0);
}

Ends::~Ends() { close(gate_); }

void Ends::OpenGate() { EXPECT_EQ(write(gate_, "!", 1), 1); }

void Ends::Publish(OutgoingMessage message) {
  Pump();
  const absl::Status published = near().Publish(std::move(message));
  ASSERT_TRUE(published.ok()) << published;
  while (near().pending_messages() > 0) {
    Pump();
    const absl::Status flushed = near().Flush(patience());
    ASSERT_TRUE(flushed.ok() || absl::IsDeadlineExceeded(flushed)) << flushed;
  }
}

absl::StatusOr<IncomingMessage> Ends::Receive() {
  while (true) {
    Pump();
    auto message = near().Receive(patience());
    if (!absl::IsDeadlineExceeded(message.status())) {
      return message;
    }
  }
}

OutgoingMessage Ends::Build(Command::Kind kind, uint64_t number, size_t bytes) {
  OutgoingMessage message = near().Claim();
  auto command = message.InitRoot<Command>();
  command.setKind(kind);
  command.setNumber(number);
  Fill(command.initPayload(static_cast<capnp::uint>(bytes)), number);
  return message;
}

void Ends::Send(Command::Kind kind, uint64_t number, size_t bytes) {
  Publish(Build(kind, number, bytes));
}

void Ends::SendMake(uint32_t count, size_t bytes, Command::Kind kind) {
  OutgoingMessage message = Build(kind, bytes);
  message.GetRoot<Command>().setCount(count);
  Publish(std::move(message));
}

void Ends::ExpectNext(uint64_t number, size_t bytes) {
  auto message = Receive();
  ASSERT_TRUE(message.ok()) << message.status();
  const auto command = message->Root<Command>();
  ASSERT_EQ(command.getNumber(), number);
  ASSERT_EQ(command.getPayload().size(), bytes);
  ASSERT_TRUE(Follows(command.getPayload(), number));
}

void Ends::ExpectReport(uint64_t messages) {
  Send(Command::Kind::REPORT);
  auto message = Receive();
  ASSERT_TRUE(message.ok()) << message.status();
  const auto report = message->Root<Report>();
  EXPECT_EQ(report.getMessages(), messages);
  EXPECT_EQ(std::string(report.getError().cStr()), "");
}

}  // namespace shoal::conformance
