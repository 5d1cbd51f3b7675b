#include "worker/ops/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace weft::worker::ops::cpu {
namespace {

TEST(ThreadPool, EachItemRunsOnceWhateverTheNumbers) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.num_threads(), threads);
    for (int count : {0, 1, 2, 7, 1000}) {
      for (int repeat = 0; repeat < 50; ++repeat) {
        std::vector<std::atomic<int>> times(count);
        pool.Run(count, [&](int i) { times[i].fetch_add(1); });
        for (int i = 0; i < count; ++i) ASSERT_EQ(times[i], 1) << "item " << i;
      }
    }
  }
}

TEST(ThreadPool, RunReturnsWhenAllIsDoneAndVisible) {
  ThreadPool pool(4);
  // Plain memory: a race or a missing fence shows here, under tsan above all.
  std::vector<int> values(64, 0);
  for (int round = 1; round <= 3000; ++round) {
    pool.Run(64, [&](int i) { ++values[i]; });
    ASSERT_EQ(values[round % 64], round);
  }
}

TEST(ThreadPool, CallersTakeTurns) {
  ThreadPool pool(3);
  std::atomic<int> total{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) pool.Run(10, [&](int) { total.fetch_add(1); });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(total, 4 * 200 * 10);
}

}  // namespace
}  // namespace weft::worker::ops::cpu
