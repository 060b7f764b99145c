// The calls of a benchmark, with whatever is underneath.
#pragma once

#include <string.h>

#include <cstddef>
#include <cstdint>

#include "kj/async.h"
#include "shoal/bench/ping.capnp.h"
#include "shoal/bench/word_sum.h"

namespace shoal {

constexpr size_t kSinkBytes = size_t{1} << 20;

// Each is a function of a sequence number that makes a call, or several, and waits for the answers;
// whether they are right.

// 16 bytes both ways.
struct PingCall {
  schema::Ping::Client& ping;
  kj::WaitScope& wait_scope;

  bool operator()(uint64_t sequence) {
    auto request = ping.pingRequest();
    request.setSequence(sequence);
    request.setToken(~sequence);
    const auto response = request.send().wait(wait_scope);
    return response.getSequence() == sequence && response.getToken() == ~sequence;
  }
};

// A ping through each of `pings`, which may be the same, all sent before the first answer.
struct PingsInFlight {
  kj::ArrayPtr<schema::Ping::Client> pings;
  kj::WaitScope& wait_scope;

  bool operator()(uint64_t sequence) {
    auto answers =
        kj::heapArrayBuilder<capnp::RemotePromise<schema::Ping::PingResults>>(pings.size());
    for (auto& ping : pings) {
      auto request = ping.pingRequest();
      request.setSequence(sequence);
      request.setToken(~sequence);
      answers.add(request.send());
    }
    bool right = true;
    for (auto& answer : answers) {
      right &= answer.wait(wait_scope).getToken() == ~sequence;
    }
    return right;
  }
};

// kSinkBytes, filled in the request and read whole by the server.
struct SinkCall {
  schema::Ping::Client& ping;
  kj::WaitScope& wait_scope;

  bool operator()(uint64_t sequence) {
    auto request = ping.sinkRequest();
    memset(request.initData(kSinkBytes).begin(), static_cast<int>(sequence & 0xff), kSinkBytes);
    return request.send().wait(wait_scope).getSum() == FilledSum(sequence, kSinkBytes);
  }
};

// The same, and read whole here when the server has sent it back.
struct EchoCall {
  schema::Ping::Client& ping;
  kj::WaitScope& wait_scope;

  bool operator()(uint64_t sequence) {
    auto request = ping.echoRequest();
    memset(request.initData(kSinkBytes).begin(), static_cast<int>(sequence & 0xff), kSinkBytes);
    const auto response = request.send().wait(wait_scope);
    const auto data = response.getData();
    return WordSum(data.begin(), data.size()) == FilledSum(sequence, kSinkBytes);
  }
};

// A list of kValues, filled in the request and summed by the server.
struct SumCall {
  static constexpr uint64_t kValues = 21'000'000;
  static constexpr uint64_t kBytes = kValues * sizeof(uint64_t);

  schema::Ping::Client& ping;
  kj::WaitScope& wait_scope;

  bool operator()(uint64_t sequence) {
    auto request = ping.sumRequest();
    auto values = request.initValues(kValues);
    for (uint64_t i = 0; i < kValues; ++i) {
      values.set(i, sequence + i);
    }
    return request.send().wait(wait_scope).getSum() ==
           kValues * sequence + kValues * (kValues - 1) / 2;
  }
};

// kChunks of kChunkBytes each, read whole by the server, as fast as flow control lets
// them go.
struct StreamCall {
  static constexpr uint64_t kChunks = 128;
  static constexpr uint64_t kChunkBytes = uint64_t{512} << 10;

  schema::Ping::Client& ping;
  kj::WaitScope& wait_scope;

  bool operator()(uint64_t sequence) {
    for (uint64_t i = 0; i < kChunks; ++i) {
      auto request = ping.writeRequest();
      memset(request.initData(kChunkBytes).begin(), static_cast<int>(sequence & 0xff), kChunkBytes);
      request.send().wait(wait_scope);
    }
    return ping.writtenRequest().send().wait(wait_scope).getSum() ==
           kChunks * FilledSum(sequence, kChunkBytes);
  }
};

}  // namespace shoal
