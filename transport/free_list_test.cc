#include "shoal/transport/free_list.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <stop_token>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "shoal/transport/deadline.h"

namespace shoal {
namespace {

struct Object {
  explicit Object(int* deleted = nullptr) : deleted(deleted) {}
  ~Object() {
    if (deleted != nullptr) {
      ++*deleted;
    }
  }

  int* deleted;
  uint64_t uses = 0;
  Object* next = nullptr;
};

void Give(Object* object, FreeList<Object>& list) { EXPECT_TRUE(list.Give(object)); }

TEST(FreeList, HasNothingAtFirst) {
  FreeList<Object> list;
  EXPECT_EQ(list.Take(), nullptr);
}

TEST(FreeList, ReturnsEachObjectOnce) {
  FreeList<Object> list;
  Object a, b, c;
  Give(&a, list);
  Give(&b, list);
  Give(&c, list);
  EXPECT_EQ((std::set{list.Take(), list.Take(), list.Take()}), (std::set{&a, &b, &c}));
  EXPECT_EQ(list.Take(), nullptr);
}

TEST(FreeList, KeepsWhatIsGivenWhileItsTakerStillHasSome) {
  FreeList<Object> list;
  Object a, b, c;
  Give(&a, list);
  Give(&b, list);
  Object* first = list.Take();
  Give(&c, list);
  EXPECT_EQ((std::set{first, list.Take(), list.Take()}), (std::set{&a, &b, &c}));
  EXPECT_EQ(list.Take(), nullptr);
}

TEST(FreeList, TakesAnObjectAgainAndAgain) {
  FreeList<Object> list;
  Object only;
  for (int i = 0; i < 10; ++i) {
    Give(&only, list);
    ASSERT_EQ(list.Take(), &only);
    ASSERT_EQ(list.Take(), nullptr);
  }
}

TEST(FreeList, DeletesWhatIsInItWhenItCloses) {
  int deleted = 0;
  FreeList<Object> list;
  Give(new Object(&deleted), list);
  Give(new Object(&deleted), list);
  delete list.Take();
  Give(new Object(&deleted), list);
  list.Close();
  EXPECT_EQ(deleted, 3);
  list.Close();
  EXPECT_EQ(deleted, 3);
}

TEST(FreeList, TakesNothingOnceItIsClosed) {
  FreeList<Object> list;
  list.Close();
  Object object;
  EXPECT_FALSE(list.Give(&object));
}

// The object owns its list, as a message does the connection that it goes back to.
TEST(FreeList, MayGoWithTheLastObjectInIt) {
  struct Owner {
    std::shared_ptr<FreeList<Owner>> list;
    Owner* next = nullptr;
  };
  auto list = std::make_shared<FreeList<Owner>>();
  const std::weak_ptr<FreeList<Owner>> gone = list;
  ASSERT_TRUE(list->Give(new Owner{list}));
  auto* held = new Owner{list};
  list->Close();
  list.reset();
  EXPECT_FALSE(gone.expired());
  EXPECT_FALSE(held->list->Give(held));
  delete held;
  EXPECT_TRUE(gone.expired());
}

TEST(FreeList, DeletesWhatIsLeftInIt) {
  int deleted = 0;
  {
    FreeList<Object> list;
    for (int i = 0; i < 5; ++i) {
      Give(new Object(&deleted), list);
    }
    delete list.Take();  // two lists now: what was taken over, and what is given from now on
    EXPECT_EQ(deleted, 1);
    Give(new Object(&deleted), list);
  }
  EXPECT_EQ(deleted, 6);
}

// Each object is used by one side at a time, without a lock.
void UseAndGive(const std::stop_token& stop, std::atomic<Object*>& mailbox,
                FreeList<Object>& list) {
  while (!stop.stop_requested()) {
    if (Object* object = mailbox.exchange(nullptr, std::memory_order_acquire)) {
      ++object->uses;
      Give(object, list);
    } else {
      std::this_thread::yield();
    }
  }
}

TEST(FreeList, LosesNothingThatManyThreadsGive) {
  constexpr uint64_t kMostRounds = 100'000;
  FreeList<Object> list;
  std::array<Object, 16> objects;
  for (Object& object : objects) {
    Give(&object, list);
  }
  std::array<std::atomic<Object*>, 4> mailboxes{};
  std::vector<std::jthread> threads;
  for (std::atomic<Object*>& mailbox : mailboxes) {
    threads.emplace_back([&](const std::stop_token& stop) { UseAndGive(stop, mailbox, list); });
  }
  const Deadline enough = Deadline::After(absl::Seconds(2));
  uint64_t sent = 0;
  while (sent < kMostRounds && !enough.passed()) {
    std::atomic<Object*>& mailbox = mailboxes[sent % mailboxes.size()];
    Object* object = mailbox.load(std::memory_order_relaxed) == nullptr ? list.Take() : nullptr;
    if (object == nullptr) {
      std::this_thread::yield();
      continue;
    }
    ++object->uses;
    mailbox.store(object, std::memory_order_release);
    ++sent;
  }
  const Deadline lost = Deadline::After(absl::Seconds(20));
  std::multiset<Object*> back;
  while (back.size() < objects.size() && !lost.passed()) {
    if (Object* object = list.Take()) {
      back.insert(object);
    } else {
      std::this_thread::yield();
    }
  }
  uint64_t uses = 0;
  for (Object& object : objects) {
    EXPECT_EQ(back.count(&object), 1u);
    uses += object.uses;
  }
  EXPECT_EQ(list.Take(), nullptr);
  EXPECT_EQ(uses, 2 * sent) << "each round is one use by each side";
}

}  // namespace
}  // namespace shoal
