@0xb84e2a6d17c9f035;
# What a conformance test asks the far end of a channel to do, over that channel.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::conformance");

struct Command {
  kind @0 :Kind;
  number @1 :UInt64;
  count @2 :UInt32;
  payload @3 :Data;
  # Bytes that follow from `number`: see pattern.h.

  segments @4 :List(Data);
  # Each follows from its index.

  enum Kind {
    data @0;        # count it; its number is one above the last one's
    echo @1;        # send it back
    make @2;        # publish `count` messages of as many bytes as `number` says, numbered from 0
    makeBatch @3;   # the same with PublishBatch()
    hold @4;        # keep what comes from now on
    releaseOdd @5;  # let go of every other message held, from the newest to the oldest
    releaseAll @6;
    report @7;      # answer with a Report
    waitAtGate @8;  # read nothing until the test opens the gate
    notify @9;
    awaitNotice @10;  # answer with a Report once a notice came
    end @11;        # End(), and go on reading
    leave @12;      # destroy the channel
  }
}

struct Report {
  messages @0 :UInt64;  # data received
  bytes @1 :UInt64;
  error @2 :Text;       # the first thing that was not as it should be
}
