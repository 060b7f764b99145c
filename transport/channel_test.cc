#include "shoal/transport/channel.h"

#include <thread>
#include <vector>

#include "capnp/any.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/transport/test_data.capnp.h"

namespace shoal {
namespace {

TEST(Channel, RoundTrip) {
  auto [left, right] = *ChannelPair();
  OutgoingMessage out = left->Claim();
  out.InitRoot<test::Blob>().setNumber(42);
  ASSERT_TRUE(left->Publish(std::move(out)).ok());
  auto in = right->Receive(absl::Seconds(1));
  ASSERT_TRUE(in.ok()) << in.status();
  EXPECT_EQ(in->Root<test::Blob>().getNumber(), 42);
}

TEST(Channel, Big) {
  for (size_t size : {1u << 10, 1u << 20, 3u << 20, 20u << 20}) {
    auto [left, right] = *ChannelPair();
    std::thread reader([&, right = right.get()] {
      for (int i = 0; i < 20; ++i) {
        auto in = right->Receive(absl::Seconds(10));
        ASSERT_TRUE(in.ok()) << in.status();
        ASSERT_EQ(in->Root<test::Blob>().getNumber(), i);
        auto b = in->Root<test::Blob>().getData();
        ASSERT_EQ(b.size(), size);
        for (auto c : b) ASSERT_EQ(c, i);
      }
    });
    for (int i = 0; i < 20; ++i) {
      OutgoingMessage out = left->Claim();
      auto b = out.InitRoot<test::Blob>();
      b.setNumber(i);
      auto d = b.initData(size);
      for (auto c : d) ASSERT_EQ(c, 0);
      memset(d.begin(), i, d.size());
      auto s = left->Publish(std::move(out));
      ASSERT_TRUE(s.ok()) << s;
    }
    reader.join();
    auto st = left->stats();
    printf("%zu: copied %lu in %lu sleeps %lu\n", size, st.words_copied_out,
           right->stats().words_copied_in, st.sleeps);
  }
}

TEST(Channel, PingSpeed) {
  auto [left, right] = *ChannelPair();
  constexpr int n = 200000;
  std::thread t([&, right = right.get()] {
    for (int i = 0; i < n; ++i) {
      auto in = right->Receive();
      ASSERT_TRUE(in.ok());
      auto out = right->Claim();
      out.InitRoot<test::Blob>().setNumber(in->Root<test::Blob>().getNumber() + 1);
      ASSERT_TRUE(right->Publish(std::move(out)).ok());
    }
  });
  auto begin = absl::Now();
  for (int i = 0; i < n; ++i) {
    auto out = left->Claim();
    out.InitRoot<test::Blob>().setNumber(i);
    ASSERT_TRUE(left->Publish(std::move(out)).ok());
    auto in = left->Receive();
    ASSERT_EQ(in->Root<test::Blob>().getNumber(), i + 1);
  }
  printf("%f ns sleeps %lu\n", absl::ToDoubleNanoseconds(absl::Now() - begin) / n,
         left->stats().sleeps);
  t.join();
}

}  // namespace
}  // namespace shoal
