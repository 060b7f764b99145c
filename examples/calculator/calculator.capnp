@0x90c59c96c267b176;
# A calculator whose values and functions are objects. A caller may use a value that has not been
# computed yet, so a chain of calls costs one round trip; and a function may live on either side,
# so the calculator calls its caller back.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::calculator");

interface Calculator {
  compute @0 (expression :Expression) -> (value :Value);
  # Answers when the expression has been computed. What is wrong with the expression is in the
  # value; the call itself fails only if the calculator is overloaded, or if a call that it makes
  # to a value or function of the expression fails.

  lookUp @1 (name :Text) -> (function :Function);
  # A function of the calculator's own. An unknown name gives a function whose every call answers
  # that it is unknown, so that no caller has to wait for this answer before it uses the function.
}

interface Value {
  get @0 () -> (outcome :Outcome);
}

interface Function {
  apply @0 (arguments :List(Float64), position :UInt32) -> (outcome :Outcome);
  # `position` is where a problem of the call itself is reported, such as too few arguments.
}

struct Outcome {
  union {
    number @0 :Float64;
    problem :group {
      position @1 :UInt32;
      # That of the step, or of the call, that went wrong.

      message @2 :Text;
    }
  }
}

struct Expression {
  # Steps of a stack machine, in postfix order: `1 - sqrt(4)` is 1, 4, apply sqrt, subtract. A step
  # takes its operands from the stack, the last one on top, and puts its result there; the last
  # step leaves just one. So deep nesting costs neither side any call stack, and no nested message.

  steps @0 :List(Step);

  struct Step {
    position @0 :UInt32;
    # Where the caller wants problems of this step reported: here, a byte offset in the text that
    # the user typed. The calculator only hands it back.

    union {
      number @1 :Float64;

      parameter @2 :UInt16;
      # The argument with this index, in the body of a function.

      value @3 :Value;
      # Possibly not computed yet.

      operator @4 :Operator;

      application :group {
        function @5 :Function;
        # Possibly not looked up yet, and on either side.

        arguments @6 :UInt16;
        # How many it takes from the stack.
      }
    }
  }

  enum Operator {
    # Each takes two operands, but for `negate`.
    add @0;
    subtract @1;
    multiply @2;
    divide @3;
    power @4;
    negate @5;
  }
}
