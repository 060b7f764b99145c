#include "tls.h"

#include <fstream>
#include <sstream>

#include "kj/debug.h"

namespace gateway {
namespace {

kj::String readFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  KJ_REQUIRE(file.good(), "this file cannot be read", path.c_str());
  return kj::heapString(text.str().c_str());
}

kj::Own<kj::TlsContext> newTls(const TlsFiles& files, kj::TlsContext::Options options) {
  // The context takes from these what it needs while it is made.
  kj::Maybe<kj::TlsKeypair> keypair;
  kj::Maybe<kj::TlsCertificate> authority;
  KJ_REQUIRE(files.certificate.empty() == files.key.empty(),
             "a certificate and its key go together", files.certificate.c_str(), files.key.c_str());
  if (!files.certificate.empty()) {
    options.defaultKeypair = keypair.emplace(kj::TlsKeypair{
        kj::TlsPrivateKey(readFile(files.key)), kj::TlsCertificate(readFile(files.certificate))});
  }
  if (!files.authority.empty()) {
    options.useSystemTrustStore = false;
    options.trustedCertificates = kj::arrayPtr(&authority.emplace(readFile(files.authority)), 1);
  }
  return kj::heap<kj::TlsContext>(kj::mv(options));
}

}  // namespace

kj::Own<kj::TlsContext> newServerTls(const TlsFiles& files) {
  KJ_REQUIRE(!files.certificate.empty(), "a TLS server needs a certificate and its key");
  kj::TlsContext::Options options;
  options.verifyClients = !files.authority.empty();
  return newTls(files, kj::mv(options));
}

kj::Own<kj::TlsContext> newClientTls(const TlsFiles& files) {
  return newTls(files, kj::TlsContext::Options());
}

}  // namespace gateway
