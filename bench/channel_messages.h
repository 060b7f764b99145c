// What both sides of the benchmark's work over a channel know of its messages.
#pragma once

#include <cstdint>

#include "shoal/bench/channel_work.capnp.h"
#include "shoal/bench/word_sum.h"

namespace shoal {

// All fields of `tick`, modulo 2^64.
inline uint64_t SumOf(schema::Tick::Reader tick) {
  return tick.getSequence() + tick.getTime() + tick.getInstrument() + tick.getPrice() +
         tick.getVolume() + tick.getFlags() + tick.getValue();
}

// All words of its data, modulo 2^64.
inline uint64_t SumOf(schema::Blob::Reader blob) {
  const auto data = blob.getData();
  return WordSum(data.begin(), data.size());
}

// Sets every field of `tick`.
inline void WriteTick(uint64_t sequence, uint64_t value, schema::Tick::Builder tick) {
  tick.setSequence(sequence);
  tick.setTime(2 * sequence);
  tick.setInstrument(3 * sequence);
  tick.setPrice(4 * sequence);
  tick.setVolume(5 * sequence);
  tick.setFlags(6 * sequence);
  tick.setValue(value);
}

// What WriteTick() makes a Tick's SumOf().
inline uint64_t TickSum(uint64_t sequence, uint64_t value) { return 21 * sequence + value; }

}  // namespace shoal
