// Makes the server at one address available at another: see README.md.

#include <iostream>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "gateway.h"
#include "kj/async-io.h"

ABSL_FLAG(std::string, listen, "", "where clients come: shm:NAME, unix:/path, HOST:PORT or *:PORT");
ABSL_FLAG(std::string, connect, "", "where the server is: shm:NAME, unix:/path or HOST:PORT");
ABSL_FLAG(std::string, tls_certificate, "", "PEM file with the certificate of this side of TCP");
ABSL_FLAG(std::string, tls_key, "", "PEM file with its private key");
ABSL_FLAG(std::string, tls_authority, "",
          "PEM file with the certificate that the other side's must be from; clients of a gateway "
          "that listens on TCP need one then");

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "makes a Cap'n Proto RPC server available at another address:\n"
      "  gateway --listen='*:5923' --connect=shm:calculator    a local server to other machines\n"
      "  gateway --listen=shm:calculator --connect=far:5923    a server far away as a local one");
  absl::ParseCommandLine(argc, argv);
  const std::string listen = absl::GetFlag(FLAGS_listen);
  const std::string connect = absl::GetFlag(FLAGS_connect);
  if (listen.empty() || connect.empty()) {
    std::cerr << "gateway: --listen and --connect are needed; see --help\n";
    return 2;
  }
  kj::AsyncIoContext io = kj::setupAsyncIo();
  const auto failure = kj::runCatchingExceptions([&]() {
    gateway::Gateway gateway(io, kj::heapString(listen.c_str()), kj::heapString(connect.c_str()),
                             {.certificate = absl::GetFlag(FLAGS_tls_certificate),
                              .key = absl::GetFlag(FLAGS_tls_key),
                              .authority = absl::GetFlag(FLAGS_tls_authority)});
    std::cout << gateway.listen().wait(io.waitScope).cStr() << std::endl;
    gateway.whenFailed().wait(io.waitScope);
  });
  KJ_IF_MAYBE (exception, failure) {
    std::cerr << "gateway: " << exception->getDescription().cStr() << "\n";
  }
  return 1;
}
