#include "shoal/transport/address.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace shoal {
namespace {

constexpr size_t kMaxSocketName = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::string_view kShmPrefix = "shm:";
constexpr std::string_view kUnixPrefix = "unix:";

// FNV-1a with 128 bits (Fowler, Noll, Vo; RFC 9923): short, and the same in every process and on
// every machine.
absl::uint128 Fnv1a(std::string_view text) {
  constexpr absl::uint128 kPrime = absl::MakeUint128(0x0000000001000000, 0x000000000000013B);
  absl::uint128 hash = absl::MakeUint128(0x6C62272E07BB0142, 0x62B821756295C58D);
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * kPrime;
  }
  return hash;
}

std::string AbstractName(uid_t user, std::string_view name) {
  std::string plain = absl::StrCat("shoal/", user, "/", std::string(name));
  if (plain.size() <= kMaxSocketName) {
    return plain;
  }
  const absl::uint128 hash = Fnv1a(name);
  return absl::StrCat("shoal/", user, "#", absl::Hex(absl::Uint128High64(hash), absl::kZeroPad16),
                      absl::Hex(absl::Uint128Low64(hash), absl::kZeroPad16));
}

bool IsNumber(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

std::optional<uint32_t> ParseNumber(std::string_view text, uint32_t maximum) {
  uint32_t number = 0;
  if (!IsNumber(text) || !absl::SimpleAtoi(std::string(text), &number) || number > maximum) {
    return std::nullopt;
  }
  return number;
}

// 0 with an empty user: there is none of that name.
struct UserLookup {
  std::optional<uid_t> user;
  int error;
};

UserLookup LookUpUser(const std::string& name) {
  std::vector<char> strings(1024);
  passwd entry{};
  passwd* found = nullptr;
  int error = 0;
  while ((error = getpwnam_r(name.c_str(), &entry, strings.data(), strings.size(), &found)) ==
         ERANGE) {
    strings.resize(strings.size() * 2);
  }
  if (found != nullptr) {
    return {entry.pw_uid, 0};
  }
  const bool is_absence = error == ENOENT || error == ESRCH;  // as some user databases say it
  return {std::nullopt, is_absence ? 0 : error};
}

}  // namespace

absl::StatusOr<Address> Address::Parse(std::string_view text) {
  Address address(text);
  absl::Status parsed;
  if (text.find('\0') != text.npos) {
    parsed = address.Error("has a NUL byte");
  } else if (text.starts_with("shm:/")) {
    parsed = address.ParsePath(Kind::kShmPath, text.substr(kShmPrefix.size()));
  } else if (text.starts_with(kShmPrefix)) {
    parsed = address.ParseShmName(text.substr(kShmPrefix.size()));
  } else if (text.starts_with(kUnixPrefix)) {
    parsed = address.ParsePath(Kind::kUnix, text.substr(kUnixPrefix.size()));
  } else {
    parsed = address.ParseTcp(text);
  }
  if (!parsed.ok()) {
    return parsed;
  }
  return address;
}

Address::Address(std::string_view text) { socket_name_.text = std::string(text); }

absl::Status Address::ParseShmName(std::string_view name) {
  kind_ = Kind::kShmName;
  user_ = geteuid();
  if (const size_t at = name.rfind('@'); at != name.npos) {
    const std::string user(name.substr(at + 1));
    name = name.substr(0, at);
    if (IsNumber(user)) {
      // The largest one is the kernel's "no user".
      user_ = ParseNumber(user, std::numeric_limits<uid_t>::max() - 1);
    } else {
      const UserLookup lookup = LookUpUser(user);
      if (lookup.error != 0) {
        return Error(
            absl::StrCat("has a USER that could not be looked up: ", strerror(lookup.error)));
      }
      user_ = lookup.user;
    }
    if (!user_) {
      return Error("has a USER after its last '@' that does not exist here");
    }
  }
  if (name.empty()) {
    return Error("has an empty NAME");
  }
  socket_name_.kind = SocketName::Kind::kAbstract;
  socket_name_.name = AbstractName(*user_, name);
  return absl::OkStatus();
}

absl::Status Address::ParsePath(Kind kind, std::string_view path) {
  kind_ = kind;
  if (path.empty()) {
    return Error("has an empty PATH");
  }
  if (path.size() > kMaxSocketName) {
    return Error(absl::StrCat("has a PATH of ", path.size(),
                              " bytes, and a socket's path can have ", kMaxSocketName));
  }
  socket_name_.kind = SocketName::Kind::kPath;
  socket_name_.name = std::string(path);
  return absl::OkStatus();
}

absl::Status Address::ParseTcp(std::string_view host_and_port) {
  kind_ = Kind::kTcp;
  if (host_and_port.starts_with('[')) {
    const size_t bracket = host_and_port.find(']');
    if (bracket == host_and_port.npos) {
      return Error("has a '[' without a ']'");
    }
    if (absl::Status host = ParseIpv6(host_and_port.substr(1, bracket - 1)); !host.ok()) {
      return host;
    }
    const std::string_view rest = host_and_port.substr(bracket + 1);
    if (rest.empty()) {
      return absl::OkStatus();
    }
    return rest.starts_with(':') ? ParsePort(rest.substr(1))
                                 : Error("has something else than :PORT after its ']'");
  }
  const size_t colon = host_and_port.find(':');
  if (colon == host_and_port.npos) {
    return ParseHost(host_and_port);
  }
  if (host_and_port.rfind(':') != colon) {
    return ParseIpv6(host_and_port);
  }
  if (absl::Status host = ParseHost(host_and_port.substr(0, colon)); !host.ok()) {
    return host;
  }
  return ParsePort(host_and_port.substr(colon + 1));
}

absl::Status Address::ParseHost(std::string_view host) {
  const auto is_of_a_host = [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_';
  };
  if (host.empty()) {
    return Error("has an empty HOST");
  }
  if (host != "*" && !std::all_of(host.begin(), host.end(), is_of_a_host)) {
    return Error("has a HOST that is neither '*' nor of letters, digits, '-', '.' and '_'");
  }
  host_ = std::string(host);
  return absl::OkStatus();
}

absl::Status Address::ParseIpv6(std::string_view address) {
  in6_addr parsed{};
  host_ = std::string(address);
  return inet_pton(AF_INET6, host_.c_str(), &parsed) == 1
             ? absl::OkStatus()
             : Error("has a HOST that is no IPv6 address");
}

absl::Status Address::ParsePort(std::string_view port) {
  constexpr uint32_t kMaxPort = std::numeric_limits<uint16_t>::max();
  const std::optional<uint32_t> number = ParseNumber(port, kMaxPort);
  if (!number) {
    return Error(absl::StrCat("has a PORT that is no number from 0 to ", kMaxPort));
  }
  port_ = static_cast<uint16_t>(*number);
  return absl::OkStatus();
}

absl::Status Address::Error(std::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat(
      "address \"", absl::Utf8SafeCEscape(text()), "\" ", std::string(what),
      "; an address is one of shm:NAME, shm:NAME@USER, shm:/PATH, unix:PATH, HOST:PORT, *:PORT, "
      "[IPV6]:PORT"));
}

}  // namespace shoal
