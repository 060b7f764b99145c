@0x840d39600d169453;
# What the benchmark's client sends over a channel, and is answered.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::schema");

enum Work {
  empty @0;  # Empty, answered by Empty
  tick @1;  # Tick, answered by one with the same sequence and the sum of all fields as its value
  whole @2;  # Blob, read whole, answered by Answer with the sum of its words
  header @3;  # Blob, answered by Answer with its size in bytes
  ticks @4;  # a stream of Tick, answered at its end by Answer with the sum of all fields
  blobs @5;  # a stream of Blob, answered at its end by Answer with the sum of all words
  usage @6;  # nothing, answered by Used of ping.capnp
}

struct Task {
  # The messages that follow.
  work @0 :Work;
  count @1 :UInt64;
}

struct Empty {
}

struct Tick {
  # Seven words and a pointer to them: 64 bytes.
  sequence @0 :UInt64;
  time @1 :UInt64;
  instrument @2 :UInt64;
  price @3 :UInt64;
  volume @4 :UInt64;
  flags @5 :UInt64;
  value @6 :UInt64;
}

struct Blob {
  data @0 :Data;
}

struct Answer {
  sum @0 :UInt64;
}
