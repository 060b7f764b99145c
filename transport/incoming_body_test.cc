#include "shoal/transport/incoming_body.h"

#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "capnp/message.h"
#include "gtest/gtest.h"
#include "kj/exception.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/receipts.h"
#include "shoal/transport/test_data.capnp.h"

namespace shoal {
namespace {

class IncomingBodyTest : public testing::Test {
 protected:
  // A body with the segments of `message`, as a receiver fills it.
  IncomingBody* NewBody(capnp::MessageBuilder& message) {
    auto* body = new IncomingBody(links_.left);
    for (const auto& segment : message.getSegmentsForOutput()) {
      body->segments.push_back(segment);
    }
    body->Open(capnp::ReaderOptions());
    return body;
  }

  const std::shared_ptr<Link>& link() { return links_.left; }

  // Lets the body hold a block of the peer's.
  void Borrow(IncomingBody* body, uint32_t loan) {
    const PeerBlock block = link()->theirs.slabs().Find({.words = 1}).value();
    block.Borrow();
    body->borrowed.push_back({.loan = loan, .block = block});
  }

  // The receipts that the peer sees.
  ReceiptReader Receipts() {
    return ReceiptReader(links_.right->theirs.receipts(), kSmallShape.receipts);
  }

  // As the receiver does at its end.
  void TearDown() override {
    if (links_.left != nullptr) {
      links_.left->incoming.Close();
    }
  }

  LinkPair links_ = MakeLinkPair();
};

TEST_F(IncomingBodyTest, ReadsItsSegmentsWhereTheyAre) {
  capnp::MallocMessageBuilder message(16, capnp::AllocationStrategy::FIXED_SIZE);
  BuildBlob(message, 5, 3000);
  ASSERT_GT(message.getSegmentsForOutput().size(), 1u);
  IncomingBody* body = NewBody(message);
  ExpectBlob(body->reader(), 5, 3000);
  EXPECT_EQ(body->reader().getRoot<test::Blob>().getData().begin(),
            message.getRoot<test::Blob>().asReader().getData().begin());
  body->Release();
}

TEST_F(IncomingBodyTest, CountsTheWordsOfAllItsSegments) {
  capnp::MallocMessageBuilder message(16, capnp::AllocationStrategy::FIXED_SIZE);
  BuildBlob(message, 5, 3000);
  IncomingBody* body = NewBody(message);
  EXPECT_EQ(body->SizeInWords(), message.sizeInWords());
  body->Release();
}

TEST_F(IncomingBodyTest, KeepsToTheReadersLimits) {
  capnp::MallocMessageBuilder message;
  BuildBlob(message, 5, 3000);
  IncomingBody* body = NewBody(message);
  body->Open({.traversalLimitInWords = 10, .nestingLimit = 64});
  EXPECT_THROW(body->reader().getRoot<test::Blob>().getData(), kj::Exception);
  body->Release();
}

TEST_F(IncomingBodyTest, ThrowsOnAMessageWithoutSegments) {
  capnp::MallocMessageBuilder empty;
  IncomingBody* body = NewBody(empty);
  EXPECT_EQ(body->SizeInWords(), 0u);
  EXPECT_THROW(body->reader().getRoot<test::Blob>(), kj::Exception);
  body->Release();
}

TEST_F(IncomingBodyTest, SendsAReceiptForEachOfItsLoansWhenItIsReleased) {
  capnp::MallocMessageBuilder message;
  BuildBlob(message, 5, 100);
  IncomingBody* body = NewBody(message);
  Borrow(body, 7);
  Borrow(body, 3);
  ReceiptReader receipts = Receipts();
  EXPECT_EQ(receipts.Next(), std::nullopt);
  body->Release();
  EXPECT_EQ(receipts.Next(), 7u);
  EXPECT_EQ(receipts.Next(), 3u);
  EXPECT_EQ(receipts.Next(), std::nullopt);
}

TEST_F(IncomingBodyTest, GoesBackToItsLinkEmpty) {
  capnp::MallocMessageBuilder message;
  BuildBlob(message, 5, 100);
  IncomingBody* body = NewBody(message);
  Borrow(body, 7);
  body->joined.reset(new capnp::word[4]);
  body->Release();
  ASSERT_EQ(link()->incoming.Take(), body);
  EXPECT_TRUE(body->segments.empty());
  EXPECT_TRUE(body->borrowed.empty());
  EXPECT_EQ(body->joined, nullptr);
  delete body;
}

TEST_F(IncomingBodyTest, MayBeReleasedOnAnyThread) {
  capnp::MallocMessageBuilder message;
  BuildBlob(message, 5, 100);
  IncomingBody* first = NewBody(message);
  IncomingBody* second = NewBody(message);
  Borrow(first, 1);
  Borrow(second, 2);
  std::jthread([first] { first->Release(); }).join();
  std::jthread([second] { second->Release(); }).join();
  ReceiptReader receipts = Receipts();
  EXPECT_EQ(receipts.Next(), 1u);
  EXPECT_EQ(receipts.Next(), 2u);
}

TEST_F(IncomingBodyTest, KeepsTheLinkAsLongAsItIsHeld) {
  capnp::MallocMessageBuilder message;
  BuildBlob(message, 5, 100);
  IncomingBody* body = NewBody(message);
  Borrow(body, 1);
  const std::weak_ptr<Link> link = links_.left;
  links_ = LinkPair();
  EXPECT_FALSE(link.expired());
  ExpectBlob(body->reader(), 5, 100);
  link.lock()->incoming.Close();
  body->Release();
  EXPECT_TRUE(link.expired());
}

}  // namespace
}  // namespace shoal
