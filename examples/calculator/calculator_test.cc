// The calculator as a user runs it: a server and a client, each a process, over each transport.

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/exception.h"
#include "kj/function.h"
#include "shoal/examples/calculator/answer.h"
#include "shoal/examples/calculator/calculator.capnp.h"
#include "shoal/examples/calculator/child_process.h"
#include "shoal/rpc/client.h"
#include "shoal/tests/scratch_folder.h"

namespace shoal::calculator {
namespace {

using Finished = ChildProcess::Finished;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kServer[] = "examples/calculator/server";
constexpr char kHeldServer[] = "examples/calculator/held_server";
constexpr char kClient[] = "examples/calculator/client";

Finished Execute(std::vector<std::string> command) {
  return ChildProcess(std::move(command)).Wait();
}

// The address of a server that has just been started.
std::string AddressOf(ChildProcess& server) {
  const std::string greeting = "listening on ";
  const std::string line = server.ReadLine();
  EXPECT_THAT(line, StartsWith(greeting));
  return line.substr(std::min(line.size(), greeting.size()));
}

// Whether `pid` has yet to take a signal.
bool HasPendingSignals(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("ShdPnd:")) {
      return line.find_first_not_of("0", line.find('\t') + 1) != std::string::npos;
    }
  }
  return false;
}

// A function of this process, which the calculator calls back.
class Callback final : public Function::Server {
 public:
  explicit Callback(kj::Function<kj::Promise<double>(double)> compute)
      : compute_(kj::mv(compute)) {}

  kj::Promise<void> apply(ApplyContext context) override {
    return compute_(context.getParams().getArguments()[0]).then([context](double result) mutable {
      context.getResults().initOutcome().setNumber(result);
    });
  }

 private:
  kj::Function<kj::Promise<double>(double)> compute_;
};

// The value of function(argument), computed by the calculator.
Value::Client Apply(Calculator::Client calculator, Function::Client function, double argument) {
  auto request = calculator.computeRequest();
  auto steps = request.initExpression().initSteps(2);
  steps[0].setNumber(argument);
  steps[1].initApplication().setFunction(kj::mv(function));
  steps[1].getApplication().setArguments(1);
  return request.send().getValue();
}

// The value of -value, computed by the calculator.
Value::Client Negate(Calculator::Client calculator, Value::Client value) {
  auto request = calculator.computeRequest();
  auto steps = request.initExpression().initSteps(2);
  steps[0].setValue(kj::mv(value));
  steps[1].setOperator(Expression::Operator::NEGATE);
  return request.send().getValue();
}

class CalculatorOver : public testing::TestWithParam<std::string> {
 protected:
  // Where to serve; only this test's.
  std::string Address() const {
    if (GetParam() == "unix") return "unix:" + folder_.path() + "/socket";
    if (GetParam() == "tcp") return "127.0.0.1:0";
    return "shm:" + std::filesystem::path(folder_.path()).filename().string();
  }

  // Where nobody serves.
  std::string EmptyAddress() const { return GetParam() == "tcp" ? "127.0.0.1:1" : Address(); }

  // What the client does with `expression` and a server of its own.
  Finished Compute(const std::string& expression) {
    ChildProcess server({kServer, Address()});
    const Finished client = Execute({kClient, AddressOf(server), expression});
    server.Signal(SIGTERM);
    EXPECT_EQ(server.Wait().status, 0);
    return client;
  }

 private:
  const ScratchFolder folder_;
};

TEST_P(CalculatorOver, ComputesWhatTheUserTypes) {
  const Finished client = Compute("2 ^ (3 + 4) * sqrt(16)");
  EXPECT_EQ(client.output, "512\n");
  EXPECT_EQ(client.errors, "");
  EXPECT_EQ(client.status, 0);
}

TEST_P(CalculatorOver, ComputesWhatBeginsWithAMinus) { EXPECT_EQ(Compute("-2 + 3").output, "1\n"); }

TEST_P(CalculatorOver, PrintsTheShortestDecimalThatIsTheNumber) {
  EXPECT_EQ(Compute("100000 * 3").output, "300000\n");
  EXPECT_EQ(Compute("0.1 + 0.2").output, "0.30000000000000004\n");
  EXPECT_EQ(Compute("1 / 0").output, "inf\n");
}

TEST_P(CalculatorOver, ComputesWithWhatTheUserDefines) {
  EXPECT_EQ(Compute("let sq(x) = x * x; let a = sq(3); a + sqrt(a)").output, "12\n");
  EXPECT_EQ(Compute("let f(x) = x + 1; let g(x) = sqrt(f(f(x))); g(7) + g(14)").output, "7\n");
}

TEST_P(CalculatorOver, ComputesLongExpressions) {
  std::string expression = "1";
  for (int i = 1; i < 60000; ++i) expression += "+1";
  EXPECT_EQ(Compute(expression).output, "60000\n");
}

TEST_P(CalculatorOver, CallsAFunctionOfAnotherProcessBack) {
  ChildProcess server({kServer, Address()});
  RpcClient client(AddressOf(server));
  int calls = 0;
  auto callback = kj::heap<Callback>([&](double argument) {
    ++calls;
    return argument + 2;
  });

  auto value = Apply(client.getMain<Calculator>(), kj::mv(callback), 5);
  auto answer = value.getRequest().send().wait(client.getWaitScope());

  EXPECT_EQ(answer.getOutcome().getNumber(), 7);
  EXPECT_EQ(calls, 1);
}

TEST_P(CalculatorOver, SendsAllCallsBeforeTheFirstIsAnswered) {
  ChildProcess server({kHeldServer, Address(), "4"});
  ChildProcess client({kClient, AddressOf(server), "let a = sqrt(16); let b = a + 1; b * a"});

  EXPECT_EQ(server.ReadLine(), "lookUp");
  EXPECT_EQ(server.ReadLine(), "compute");
  EXPECT_EQ(server.ReadLine(), "compute");
  EXPECT_EQ(server.ReadLine(), "compute");
  EXPECT_EQ(client.Wait().output, "20\n");
}

TEST_P(CalculatorOver, ShowsWhereAnExpressionIsWrong) {
  const Finished client = Compute("2 + * 3");
  EXPECT_EQ(client.errors,
            "2 + * 3\n"
            "    ^\n"
            "expected a number, a name or '(', not '*'\n");
  EXPECT_EQ(client.output, "");
  EXPECT_EQ(client.status, 1);
}

TEST_P(CalculatorOver, ShowsWhereAFunctionIsUnknown) {
  const Finished client = Compute("let a = 1; a + squirt(2)");
  EXPECT_THAT(client.errors, StartsWith("let a = 1; a + squirt(2)\n"
                                        "               ^\n"
                                        "there is no function 'squirt': "));
  EXPECT_EQ(client.status, 1);
}

TEST_P(CalculatorOver, ShowsWhereTheBodyOfAFunctionIsWrong) {
  const Finished client = Compute("let f(x) = 1 + sqrt(x, 2); f(2)");
  EXPECT_EQ(client.errors,
            "let f(x) = 1 + sqrt(x, 2); f(2)\n"
            "               ^\n"
            "wrong number of arguments: 'sqrt' takes 1, not 2\n");
  EXPECT_EQ(client.status, 1);
}

TEST_P(CalculatorOver, RefusesDeepNesting) {
  const Finished client = Compute(std::string(100000, '('));
  EXPECT_THAT(client.errors, HasSubstr("nested more than 200 deep"));
  EXPECT_EQ(client.status, 1);
}

TEST_P(CalculatorOver, ServesOnAfterAnExpressionThatIsTooLong) {
  ChildProcess server({kServer, Address()});
  const std::string address = AddressOf(server);
  RpcClient hostile(address);
  auto request = hostile.getMain<Calculator>().computeRequest();
  request.initExpression().initSteps(500'000);

  auto value = request.send().getValue();
  auto answer = value.getRequest().send().wait(hostile.getWaitScope());

  EXPECT_THAT(std::get<Problem>(readAnswer(answer.getOutcome())).message,
              HasSubstr("it has 500000 steps, and may have 300000"));
  EXPECT_EQ(Execute({kClient, address, "1 + 2"}).output, "3\n");
}

TEST_P(CalculatorOver, ServesOnAfterAClientLeavesManyExpressionsUnfinished) {
  ChildProcess server({kServer, Address()});
  const std::string address = AddressOf(server);
  {
    RpcClient hostile(address);
    auto called = kj::newPromiseAndFulfiller<void>();
    auto calculator = hostile.getMain<Calculator>();
    auto value = Apply(calculator, kj::heap<Callback>([&](double) -> kj::Promise<double> {
                         called.fulfiller->fulfill();
                         return kj::NEVER_DONE;
                       }),
                       1);
    for (int i = 0; i < 900; ++i) value = Negate(calculator, kj::mv(value));
    auto waiting = value.getRequest().send();
    called.promise.wait(hostile.getWaitScope());
  }
  EXPECT_EQ(Execute({kClient, address, "1 + 2"}).output, "3\n");
}

TEST_P(CalculatorOver, ServesClientsOneAfterTheOther) {
  ChildProcess server({kServer, Address()});
  const std::string address = AddressOf(server);
  EXPECT_EQ(Execute({kClient, address, "1 + 2"}).output, "3\n");
  EXPECT_EQ(Execute({kClient, address, "3 + 4"}).output, "7\n");
}

TEST_P(CalculatorOver, TellsTheClientThatTheServerWasKilledInACall) {
  ChildProcess server({kHeldServer, Address(), "2"});
  const std::string address = AddressOf(server);
  ChildProcess client({kClient, address, "1 + 2"});
  ASSERT_EQ(server.ReadLine(), "compute");

  server.Signal(SIGKILL);

  const Finished finished = client.Wait();
  EXPECT_THAT(finished.errors, AllOf(HasSubstr("at " + address + ", or it went away: "),
                                     HasSubstr("To start one there: server " + address)));
  EXPECT_EQ(finished.status, 1);
}

TEST_P(CalculatorOver, IsDisconnectedWhenTheServerIsKilledWhileItCallsBack) {
  ChildProcess server({kServer, Address()});
  RpcClient client(AddressOf(server));
  auto callback = kj::heap<Callback>([&](double) -> kj::Promise<double> {
    server.Signal(SIGKILL);
    return kj::NEVER_DONE;
  });
  auto value = Apply(client.getMain<Calculator>(), kj::mv(callback), 5);

  kj::Maybe<kj::Exception> exception =
      kj::runCatchingExceptions([&]() { value.getRequest().send().wait(client.getWaitScope()); });

  KJ_IF_MAYBE (e, exception) {
    EXPECT_EQ(e->getType(), kj::Exception::Type::DISCONNECTED) << e->getDescription().cStr();
  } else {
    ADD_FAILURE() << "the call was answered";
  }
}

TEST_P(CalculatorOver, SaysThatThereIsNoServer) {
  const Finished client = Execute({kClient, EmptyAddress(), "1 + 2"});
  EXPECT_THAT(client.errors,
              AllOf(HasSubstr("there is no calculator at " + EmptyAddress() + ", or"),
                    HasSubstr("To start one there: server " + EmptyAddress())));
  EXPECT_EQ(client.status, 1);
}

TEST_P(CalculatorOver, SaysThatAnAddressIsTaken) {
  ChildProcess server({kServer, Address()});
  const std::string address = AddressOf(server);

  const Finished second = Execute({kServer, address});

  EXPECT_THAT(second.errors, HasSubstr("cannot serve at " + address + ": "));
  EXPECT_EQ(second.output, "");
  EXPECT_EQ(second.status, 1);
}

TEST_P(CalculatorOver, ServesOnAfterASecondServerWasRefused) {
  ChildProcess server({kServer, Address()});
  const std::string address = AddressOf(server);
  Execute({kServer, address});
  EXPECT_EQ(Execute({kClient, address, "1 + 2"}).output, "3\n");
}

TEST_P(CalculatorOver, ServesUntilItIsTerminated) {
  ChildProcess server({kServer, Address()});
  AddressOf(server);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait().status, 0);
}

TEST_P(CalculatorOver, AnswersWhatWasAskedBeforeItWasTerminated) {
  ChildProcess server({kServer, Address()});
  RpcClient client(AddressOf(server));
  auto late = kj::newPromiseAndFulfiller<double>();
  bool called = false;
  auto callback = kj::heap<Callback>([&](double) {
    called = true;
    return kj::mv(late.promise);
  });
  auto answer = Apply(client.getMain<Calculator>(), kj::mv(callback), 5).getRequest().send();
  while (!called) {
    EXPECT_FALSE(answer.poll(client.getWaitScope()));
  }

  server.Signal(SIGTERM);
  while (HasPendingSignals(server.pid())) {
  }
  late.fulfiller->fulfill(7);

  EXPECT_EQ(answer.wait(client.getWaitScope()).getOutcome().getNumber(), 7);
  EXPECT_EQ(server.Wait().status, 0);
}

TEST_P(CalculatorOver, ServesUntilItIsInterrupted) {
  ChildProcess server({kServer, Address()});
  AddressOf(server);
  server.Signal(SIGINT);
  EXPECT_EQ(server.Wait().status, 0);
}

INSTANTIATE_TEST_SUITE_P(Transports, CalculatorOver, testing::Values("shm", "unix", "tcp"),
                         [](const auto& info) { return info.param; });

TEST(CalculatorClient, SaysHowItIsUsed) {
  const Finished help = Execute({kClient, "--help"});
  EXPECT_THAT(help.output,
              AllOf(StartsWith("usage: client ADDRESS EXPRESSION\n"), HasSubstr("sin, sqrt, tan")));
  EXPECT_EQ(help.status, 0);
}

TEST(CalculatorClient, SaysHowItIsUsedWhenItIsUsedWrongly) {
  const Finished client = Execute({kClient, "shm:calculator"});
  EXPECT_THAT(client.errors, StartsWith("usage: client ADDRESS EXPRESSION\n"));
  EXPECT_EQ(client.output, "");
  EXPECT_EQ(client.status, 2);
}

TEST(CalculatorClient, ShowsWhereTextIsNotAscii) {
  const Finished client = Execute({kClient, "shm:calculator", "2 × 3"});
  EXPECT_THAT(client.errors, StartsWith("2 × 3\n"
                                        "  ^\n"
                                        "'×' has no meaning here"));
  EXPECT_EQ(client.status, 1);
}

TEST(CalculatorServer, SaysHowItIsUsed) {
  EXPECT_THAT(Execute({kServer, "--help"}).output, StartsWith("usage: server ADDRESS\n"));
  EXPECT_EQ(Execute({kServer, "--help"}).status, 0);
}

TEST(CalculatorServer, SaysHowItIsUsedWhenItIsUsedWrongly) {
  const Finished server = Execute({kServer});
  EXPECT_THAT(server.errors, StartsWith("usage: server ADDRESS\n"));
  EXPECT_EQ(server.status, 2);
}

}  // namespace
}  // namespace shoal::calculator
