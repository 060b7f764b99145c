#include "shoal/transport/message_limit.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "kj/common.h"

namespace shoal {

std::string MessageLimit::Describe() const { return absl::StrCat(option, ", ", words); }

MessageLimit ReceiveLimit(const ChannelOptions& options, Trust trust) {
  const uint64_t otherwise = trust == Trust::kPeer || options.reader
                                 ? ChannelOptions::kMaxMessageWords
                                 : ChannelOptions::kUntrustedMessageWords;
  const uint64_t words = options.max_message_words.value_or(otherwise);
  if (options.reader && options.reader->traversalLimitInWords < words) {
    return {options.reader->traversalLimitInWords, "ReaderOptions::traversalLimitInWords"};
  }
  return words;
}

capnp::ReaderOptions ReaderFor(const ChannelOptions& options, Trust trust) {
  if (options.reader) {
    return *options.reader;
  }
  capnp::ReaderOptions reader;
  reader.traversalLimitInWords =
      trust == Trust::kPeer
          ? uint64_t{kj::maxValue}
          : std::max(ChannelOptions::kUntrustedMessageWords, ReceiveLimit(options, trust).words);
  return reader;
}

}  // namespace shoal
