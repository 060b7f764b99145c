#pragma once
// TLS from the files that an administrator has.

#include <string>

#include "kj/compat/tls.h"
#include "kj/memory.h"

namespace gateway {

struct TlsFiles {
  // PEM. Empty: none.
  std::string certificate;  // of this side, with those that lead to an authority
  std::string key;          // that goes with it
  std::string authority;  // whom the other side's certificate must be from; if empty, the system's

  bool isWanted() const { return !certificate.empty() || !key.empty() || !authority.empty(); }
};

kj::Own<kj::TlsContext> newServerTls(const TlsFiles& files);
// Needs a certificate and its key; with an authority, clients must have a certificate from it.

kj::Own<kj::TlsContext> newClientTls(const TlsFiles& files);
// Verifies the server, by the name in its address.

}  // namespace gateway
