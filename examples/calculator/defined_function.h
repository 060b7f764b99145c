#pragma once

// A function that a client defines. It stays on the client, which computes it when the calculator
// calls back.

#include <cstdint>
#include <string>

#include "capnp/message.h"
#include "shoal/examples/calculator/calculator.capnp.h"

namespace shoal::calculator {

class DefinedFunction final : public Function::Server {
 public:
  DefinedFunction(std::string name, uint32_t parameters);
  // `name` is for messages, `parameters` their number.

  Expression::Builder getBody();
  // To be filled in before the first call. Its values and functions may be on either side.

  kj::Promise<void> apply(ApplyContext context) override;
  // Computes the body. A wrong number of arguments is a Problem at the position of the call, and a
  // problem of the body is at the body's positions.

 private:
  const std::string name;
  const uint32_t parameters;
  capnp::MallocMessageBuilder message;         // whose root is the body
  capnp::BuilderCapabilityTable capabilities;  // the body's values and functions
};

}  // namespace shoal::calculator
