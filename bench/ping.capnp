@0xda9f9a732496eee0;
# What bench/ping times.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::schema");

interface Ping {
  ping @0 (sequence :UInt64, token :UInt64) -> (sequence :UInt64, token :UInt64);
  # Answers what it was sent: 16 bytes each way.

  sink @1 (data :Data) -> (sum :UInt64);
  # Reads `data` whole. Answers the sum of its 64-bit words, modulo 2^64; of a last part that is no
  # whole word, nothing.
}
