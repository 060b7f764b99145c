// A message on its way out, and one that came in.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "capnp/any.h"
#include "capnp/message.h"
#include "capnp/orphan.h"
#include "shoal/transport/incoming_body.h"
#include "shoal/transport/outgoing_body.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// A Cap'n Proto message built where the peer will read it. Dropping it unpublished publishes
// nothing and gives its memory back.
//
// It may outlive its channel. It is built on the thread that publishes, or on any if the channel
// was bound to that (see Channel::BindToThread); and may be dropped on any. A forked child may drop
// its copy, and must not build on it: that is the parent's memory.
//
// What is published must not be changed: a builder that was kept from before would change what the
// peer reads, or another message. A build with AddressSanitizer reports that where it happens, and
// a debug build lets a later Publish() fail with kFailedPrecondition. The calls that would change
// it throw kj::Exception, as Cap'n Proto's builders do.
class OutgoingMessage {
 public:
  explicit OutgoingMessage(BodyRef body) : body_(std::move(body)) {}
  OutgoingMessage(OutgoingMessage&&) = default;
  OutgoingMessage& operator=(OutgoingMessage&&) = default;

  template <typename T>
  typename T::Builder InitRoot() {
    return Unpublished().builder().template initRoot<T>();
  }

  template <typename T>
  typename T::Builder GetRoot() {
    return builder().template getRoot<T>();
  }

  // For all that Cap'n Proto does with a builder.
  capnp::MessageBuilder& builder() {
    if (!body_) {
      ThrowNoMessage();
    }
    return body_->builder();
  }
  capnp::Orphanage orphanage() { return Unpublished().builder().getOrphanage(); }

  // What has been built so far, all segments together.
  uint64_t SizeInWords() const { return body_ ? body_->SizeInWords() : 0; }

  // Descriptors for the peer, which gets copies of its own: at most Channel::max_fds(). They stay
  // the caller's, and open until the message was published or Publish() has failed.
  void SetFds(std::span<const int> fds) { Unpublished().SetFds(fds); }

  // A second handle, to read the message after it was published. It must not be changed then, and
  // its memory is not used again until all handles are gone. A message is published once, by
  // whichever handle. Of an empty handle, another one.
  OutgoingMessage Share() const { return OutgoingMessage(body_); }

  // True until the message was published or moved away.
  bool has_value() const { return static_cast<bool>(body_); }

  // For channels.
  const BodyRef& body() const { return body_; }
  BodyRef TakeBody() { return std::move(body_); }
  void Reset() { body_ = BodyRef(); }

 private:
  OutgoingBody& Unpublished() const {
    if (!body_) {
      ThrowNoMessage();
    }
    if (body_->published()) {
      ThrowPublished();
    }
    return *body_;
  }
  [[noreturn]] static void ThrowNoMessage();
  [[noreturn]] static void ThrowPublished();

  BodyRef body_;
};

// A Cap'n Proto message that was received. Its readers are valid as long as it is; holding it keeps
// the peer's blocks from being used again. It may outlive its channel, and be dropped on any
// thread.
class IncomingMessage {
 public:
  // Takes over a body from a Receiver.
  IncomingMessage(IncomingBody* body, const capnp::ReaderOptions& options) : body_(body) {
    body_->Open(options);
  }

  // Throws kj::Exception, as Cap'n Proto's readers do, when what the peer built is malformed.
  template <typename T>
  typename T::Reader Root() {
    return reader().template getRoot<T>();
  }

  // For all that Cap'n Proto does with a reader.
  capnp::MessageReader& reader() { return body_->reader(); }

  // Reads with other limits than the channel's, or with the same anew, for the traversal limit
  // counts all that is read. No reader that was taken before may be used any more.
  void Reopen(const capnp::ReaderOptions& options) { body_->Open(options); }

  // All segments together.
  uint64_t SizeInWords() const { return body_->SizeInWords(); }

  // The descriptors that came with it, close-on-exec: all that were sent, as a message waits until
  // this process has room for them. Those that nobody moves out are closed with the message.
  std::span<UniqueFd> fds() { return {body_->fds.data(), body_->fds.size()}; }

 private:
  struct Release {
    void operator()(IncomingBody* body) const { body->Release(); }
  };

  std::unique_ptr<IncomingBody, Release> body_;
};

}  // namespace shoal
