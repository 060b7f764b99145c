@0xd3c1a5e27f0b8964;
# What the servers of the tests offer.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::test");

interface Echo {
  ping @0 (value :UInt64) -> (value :UInt64);

  fill @1 (bytes :UInt64, value :UInt8) -> (data :Data);
  # That many bytes, all of this value.

  sum @2 (data :Data) -> (total :UInt64);
  # Adds the bytes up.

  never @3 ();
  # Returns never.

  child @4 () -> (child :Echo);
  # A new capability.

  callBack @5 (target :Echo, value :UInt64) -> (value :UInt64);
  # Pings `target` and returns what it says.

  exit @6 ();
  # Ends the server's process in the middle of the call, without a word to anybody.

  fork @7 () -> (pid :Int32);
  # Leaves a process that holds all that the server's holds, does nothing, and is to be killed.
}
