@0xda9f9a732496eee0;
# What the benchmarks call.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::schema");

interface Ping {
  ping @0 (sequence :UInt64, token :UInt64) -> (sequence :UInt64, token :UInt64);
  # Answers what it was sent: 16 bytes each way.

  sink @1 (data :Data) -> (sum :UInt64);
  # Reads `data` whole. Answers the sum of its 64-bit words, modulo 2^64; of a last part that is no
  # whole word, nothing.

  echo @2 (data :Data) -> (data :Data);
  # Answers what it was sent.

  write @3 (data :Data) -> stream;
  # Reads `data` whole.

  written @4 () -> (sum :UInt64);
  # Answers the sum of what all write() since the last call of this have read, as sink() does.

  usage @5 () -> (used :Used);
  # Answers what the server has used so far.

  sum @6 (values :List(UInt64)) -> (sum :UInt64);
  # Answers the sum of `values`, modulo 2^64.
}

struct Used {
  # What crosses a process boundary of usage.h. What was not counted is negative.
  allocations @0 :Int64 = -1;
  systemCalls @1 :Int64 = -1;
  sleeps @2 :UInt64;
  cpuNanoseconds @3 :Int64;
  parks @4 :Int64 = -1;
  rings @5 :Int64 = -1;
  pageFaults @6 :UInt64;
  copiedWords @7 :Int64 = -1;
}
