#include "shoal/tests/conformance/far_end.h"

#include <poll.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/tests/conformance/pattern.h"

namespace shoal::conformance {

bool FarEnd::AtGate() {
  pollfd gate = {.fd = gate_, .events = POLLIN, .revents = 0};
  if (at_gate_ && poll(&gate, 1, 0) > 0) {
    char opened;
    at_gate_ = read(gate_, &opened, 1) != 1;
  }
  return at_gate_;
}

bool FarEnd::Step() {
  if (channel_ == nullptr || AtGate()) {
    return false;
  }
  const bool flushed = channel_->Flush(absl::ZeroDuration()).ok();
  if (awaits_notice_ && channel_->TakeNotice()) {
    awaits_notice_ = false;
    Report();
  }
  auto message = channel_->TryReceive();
  if (!message.ok()) {
    if (flushed) {
      channel_.reset();
    }
    return false;
  }
  if (!*message) {
    return false;
  }
  Do(**std::move(message));
  return true;
}

void FarEnd::Run() {
  while (channel_ != nullptr) {
    if (at_gate_) {
      char opened;
      at_gate_ = read(gate_, &opened, 1) != 1;
      continue;
    }
    channel_->Flush(absl::InfiniteDuration()).IgnoreError();
    auto message = channel_->Receive();
    if (absl::IsCancelled(message.status())) {
      Report();
      awaits_notice_ = false;
      continue;
    }
    if (!message.ok()) {
      return;
    }
    Do(*std::move(message));
  }
}

void FarEnd::Do(IncomingMessage message) {
  if (message.SizeInWords() == 0) {
    ++messages_;  // nothing was built in it, and there is no root to be read
    return;
  }
  const auto command = message.Root<Command>();
  switch (command.getKind()) {
    case Command::Kind::DATA:
      Count(command);
      break;
    case Command::Kind::ECHO: {
      OutgoingMessage answer = channel_->Claim();
      answer.builder().setRoot(command);
      Publish(std::move(answer));
      break;
    }
    case Command::Kind::MAKE:
    case Command::Kind::MAKE_BATCH:
      Make(command);
      break;
    case Command::Kind::HOLD:
      holding_ = true;
      break;
    case Command::Kind::RELEASE_ODD:
      for (size_t i = held_.size(); i > 1; i -= 2) {
        held_.erase(held_.begin() + (i - 1));
        if (i < 3) {
          break;
        }
      }
      break;
    case Command::Kind::RELEASE_ALL:
      held_.clear();
      holding_ = false;
      break;
    case Command::Kind::REPORT:
      Report();
      break;
    case Command::Kind::WAIT_AT_GATE:
      at_gate_ = true;
      break;
    case Command::Kind::NOTIFY:
      Note(channel_->Notify());
      break;
    case Command::Kind::AWAIT_NOTICE:
      awaits_notice_ = true;
      break;
    case Command::Kind::END:
      channel_->End();
      break;
    case Command::Kind::LEAVE:
      channel_.reset();
      return;
  }
  if (holding_) {
    held_.push_back(std::move(message));
  }
}

void FarEnd::Count(Command::Reader command) {
  if (command.getNumber() != messages_) {
    Note(absl::StrCat("message ", command.getNumber(), " came in place of ", messages_));
  }
  if (!Follows(command.getPayload(), command.getNumber())) {
    Note(absl::StrCat("message ", command.getNumber(), " has other bytes than were sent"));
  }
  const auto segments = command.getSegments();
  for (uint32_t i = 0; i < segments.size(); ++i) {
    if (!Follows(segments[i], i)) {
      Note(absl::StrCat("piece ", i, " of message ", command.getNumber(), " is not what was sent"));
    }
    bytes_ += segments[i].size();
  }
  ++messages_;
  bytes_ += command.getPayload().size();
}

void FarEnd::Make(Command::Reader command) {
  std::vector<OutgoingMessage> messages;
  for (uint32_t i = 0; i < command.getCount(); ++i) {
    OutgoingMessage message = channel_->Claim();
    auto made = message.InitRoot<Command>();
    made.setNumber(i);
    Fill(made.initPayload(static_cast<capnp::uint>(command.getNumber())), i);
    if (command.getKind() == Command::Kind::MAKE) {
      Publish(std::move(message));
    } else {
      messages.push_back(std::move(message));
    }
  }
  Note(channel_->PublishBatch(messages));
}

void FarEnd::Publish(OutgoingMessage message) { Note(channel_->Publish(std::move(message))); }

void FarEnd::Report() {
  OutgoingMessage message = channel_->Claim();
  auto report = message.InitRoot<conformance::Report>();
  report.setMessages(messages_);
  report.setBytes(bytes_);
  report.setError(error_);
  Publish(std::move(message));
}

void FarEnd::Note(const absl::Status& status) {
  if (!status.ok()) {
    Note(status.ToString());
  }
}

void FarEnd::Note(const std::string& error) {
  if (error_.empty()) {
    error_ = error;
  }
}

}  // namespace shoal::conformance
