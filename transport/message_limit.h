// How large a message may be, by which option.
#pragma once

#include <cstdint>
#include <string>

#include "capnp/message.h"
#include "shoal/transport/options.h"

namespace shoal {

struct MessageLimit {
  // Implicit, for a limit that ChannelOptions::max_message_words has set.
  MessageLimit(uint64_t its_words, const char* its_option = "ChannelOptions::max_message_words")
      : words(its_words), option(its_option) {}

  // "ChannelOptions::max_message_words, 1000"
  std::string Describe() const;

  uint64_t words;
  const char* option;  // the one to be raised
};

// What this side accepts of a peer whose messages it reads as `trust` says; over a socket that is
// Trust::kNone.
MessageLimit ReceiveLimit(const ChannelOptions& options, Trust trust);

// What the readers of such messages allow.
capnp::ReaderOptions ReaderFor(const ChannelOptions& options, Trust trust);

}  // namespace shoal
