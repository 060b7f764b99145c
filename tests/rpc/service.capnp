@0xb7e2c94d10a36f58;
# What the server of the RPC tests offers: a method for each behaviour that they look at.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::test");

interface Recorder {
  # Remembers the order in which it was called.

  append @0 (value :UInt64, padding :Data);

  read @1 () -> (values :List(UInt64));
}

interface Sink {
  # Takes chunks, each once its gate is open.

  write @0 (chunk :Data) -> stream;
  # Fails when the chunk is empty.

  finish @1 () -> (chunks :UInt64, bytes :UInt64);
  # What was written.
}

interface Waiter {
  # Waits at gates, which are known by number to the whole server.

  pass @0 (gate :UInt64) -> (gate :UInt64, child :Service);
  # Returns when the gate is open.
}

struct Echoed {
  value @0 :UInt64;
}

struct Made {
  child @0 :Service;
}

interface Service {
  enum Failure {
    failed @0;
    overloaded @1;
    disconnected @2;
    unimplemented @3;
  }

  echo @0 (value :UInt64) -> Echoed;

  fill @1 (bytes :UInt64, value :UInt8) -> (data :Data);
  # That many bytes, all of this value.

  sum @2 (data :Data) -> (total :UInt64);
  # Adds the bytes up.

  fail @3 (type :Failure, text :Text) -> Made;
  # Rejects with that.

  throwKj @4 (type :Failure, text :Text);
  # Throws that.

  throwStandard @5 (text :Text);
  # Throws a std::runtime_error.

  missing @6 ();
  # Implemented by nobody.

  makeChild @7 () -> Made;
  # Another one of the same server.

  isOwn @8 (service :Service) -> (own :Bool);
  # Whether it is an object of this server, called without any detour.

  open @9 (gate :UInt64);
  # Opens a gate, for ever.

  census @10 () -> (children :UInt64, waiting :UInt64, passed :UInt64);
  # Children that live, calls that wait at gates, and calls that have passed one.

  makeWaiter @11 () -> (waiter :Waiter);
  makeCancelableWaiter @12 () -> (waiter :Waiter);

  makeRecorder @13 () -> (recorder :Recorder);
  makeSink @14 (gate :UInt64) -> (sink :Sink);

  keep @15 (target :Service);
  # Holds on to it until `forget()`.
  forget @16 ();
  callKept @17 (value :UInt64) -> (value :UInt64);
  getKept @18 () -> (target :Service);

  giveBack @19 (recorder :Recorder) -> (recorder :Recorder);
  promise @20 () -> (recorder :Recorder);
  # One that is not there yet, but will be after `settle()` or `abandon()`.
  settle @21 (recorder :Recorder);
  abandon @22 (text :Text);

  callFail @23 (target :Service, type :Failure, text :Text);
  # Calls target.fail().

  tailEcho @24 (target :Service, value :UInt64) -> Echoed;
  tailFail @25 (target :Service, type :Failure, text :Text) -> Made;
  tailMakeChild @26 (target :Service) -> Made;
  # What the method of `target` returns, as tail calls.
}
