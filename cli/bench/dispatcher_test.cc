#include "cli/bench/dispatcher.h"

#include "gtest/gtest.h"

namespace weft::bench {
namespace {

const Clock::time_point kStart{};

TEST(Dispatcher, AllAtOnceIsOneSlotForEachUpToTheLimit) {
  EXPECT_EQ(Dispatcher({0, 0, 0}, 2, kStart).num_first_slots(), 2);
  EXPECT_EQ(Dispatcher({0, 0, 0}, 0, kStart).num_first_slots(), 3);
  EXPECT_EQ(Dispatcher({0, 0, 0}, 9, kStart).num_first_slots(), 3);
}

TEST(Dispatcher, AClosedLoopTakesTheNextAsOneEnds) {
  Dispatcher dispatcher({0, 0, 0}, 2, kStart);
  EXPECT_EQ(dispatcher.Take()->index, 0);
  EXPECT_FALSE(dispatcher.Begin());
  EXPECT_EQ(dispatcher.Take()->index, 1);
  EXPECT_FALSE(dispatcher.Begin());
  EXPECT_EQ(dispatcher.num_open(), 2);
  dispatcher.End();
  EXPECT_EQ(dispatcher.Take()->index, 2);
  EXPECT_FALSE(dispatcher.Begin());
  dispatcher.End();
  EXPECT_FALSE(dispatcher.Take());
  EXPECT_FALSE(dispatcher.is_over());
  dispatcher.End();
  EXPECT_FALSE(dispatcher.Take());
  EXPECT_TRUE(dispatcher.is_over());
  EXPECT_EQ(dispatcher.num_ended(), 3);
  EXPECT_EQ(dispatcher.peak_concurrency(), 2);
}

TEST(Dispatcher, SlotsAreMadeAsArrivalsNeedThem) {
  Dispatcher dispatcher({0, 1, 2, 3}, 0, kStart);
  EXPECT_EQ(dispatcher.num_first_slots(), 1);
  dispatcher.Take();
  EXPECT_TRUE(dispatcher.Begin()) << "nobody waits for request 1";
  const auto second = dispatcher.Take();
  EXPECT_EQ(second->due, kStart + std::chrono::seconds(1));
  dispatcher.End();   // request 0, before request 1 is due:
  dispatcher.Take();  // its slot waits for request 2,
  EXPECT_FALSE(dispatcher.Begin()) << "so request 1 calls for none";
  EXPECT_TRUE(dispatcher.Begin()) << "nobody waits for request 3";
}

TEST(Dispatcher, ArrivalsNeverMakeMoreSlotsThanTheLimit) {
  Dispatcher dispatcher({0, 1, 2}, 1, kStart);
  dispatcher.Take();
  EXPECT_FALSE(dispatcher.Begin());
}

}  // namespace
}  // namespace weft::bench
