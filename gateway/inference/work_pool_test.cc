#include "gateway/inference/work_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <future>

namespace weft::gateway {
namespace {

using Weight = WorkPool::Weight;

TEST(WorkPool, LightWorkPassesHeavyWorkThatBlocks) {
  std::promise<void> release;
  auto released = release.get_future().share();
  std::atomic<int> num_heavy{0};
  WorkPool pool(2, 100);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(pool.Run(Weight::kHeavy, [&num_heavy, released] {
      ++num_heavy;
      released.wait();
    }));
  }
  std::promise<void> light;
  ASSERT_TRUE(pool.Run(Weight::kLight, [&light] { light.set_value(); }));
  EXPECT_EQ(light.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_LE(num_heavy, 1);
  release.set_value();
}

TEST(WorkPool, HeavyWorkStandsBehindOtherThreads) {
  const auto niceness = [] { return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); };
  std::promise<int> heavy, light;
  std::promise<void> release;
  auto released = release.get_future().share();
  WorkPool pool(2, 100);
  ASSERT_TRUE(pool.Run(Weight::kHeavy, [&, released] {
    heavy.set_value(niceness());
    released.wait();
  }));
  EXPECT_GT(heavy.get_future().get(), niceness());
  ASSERT_TRUE(pool.Run(Weight::kLight, [&] { light.set_value(niceness()); }));
  EXPECT_EQ(light.get_future().get(), niceness());
  EXPECT_EQ(niceness(), getpriority(PRIO_PROCESS, static_cast<id_t>(getpid())));
  release.set_value();
}

TEST(WorkPool, TakesNoMoreThanMayWait) {
  std::promise<void> release, running;
  auto released = release.get_future().share();
  WorkPool pool(2, 2);
  ASSERT_TRUE(pool.Run(Weight::kHeavy, [&running, released] {
    running.set_value();
    released.wait();
  }));
  running.get_future().wait();
  EXPECT_TRUE(pool.Run(Weight::kHeavy, [] {}));
  EXPECT_TRUE(pool.Run(Weight::kHeavy, [] {}));
  EXPECT_FALSE(pool.Run(Weight::kHeavy, [] {}));
  release.set_value();
}

TEST(WorkPool, TheDestructorRunsWhatWasTaken) {
  std::atomic<int> num_run{0};
  {
    WorkPool pool(3, 1000);
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(pool.Run(i % 2 ? Weight::kHeavy : Weight::kLight, [&num_run] { ++num_run; }));
    }
  }
  EXPECT_EQ(num_run, 100);
}

}  // namespace
}  // namespace weft::gateway
