#include "worker/rpc/step_queue.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

namespace weft::worker {
namespace {

using std::chrono::milliseconds;

std::unique_ptr<QueuedStep> Step(uint64_t id) {
  auto step = std::make_unique<QueuedStep>();
  step->command.step_id = id;
  return step;
}

TEST(StepQueue, APoppedStepIsOpenUntilItIsDone) {
  StepQueue queue(1);
  ASSERT_TRUE(queue.WaitForRoom());
  queue.Push(Step(1));
  EXPECT_EQ(queue.Pop()->command.step_id, 1u);
  auto room = std::async(std::launch::async, [&] { return queue.WaitForRoom(); });
  EXPECT_EQ(room.wait_for(milliseconds(50)), std::future_status::timeout);
  queue.Done();
  EXPECT_TRUE(room.get());
}

TEST(StepQueue, CloseHandsOutWhatIsThere) {
  StepQueue queue(2);
  queue.Push(Step(1));
  queue.Push(Step(2));
  queue.Close();
  EXPECT_EQ(queue.Pop()->command.step_id, 1u);
  EXPECT_EQ(queue.Pop()->command.step_id, 2u);
  EXPECT_EQ(queue.Pop(), nullptr);
}

TEST(StepQueue, AbortGivesUpWhatIsThereAndFreesWhoWaits) {
  StepQueue queue(1);
  queue.Push(Step(1));
  auto room = std::async(std::launch::async, [&] { return queue.WaitForRoom(); });
  queue.Abort();
  EXPECT_FALSE(room.get());
  EXPECT_EQ(queue.Pop(), nullptr);
}

TEST(StepQueue, ManyStepsPassInOrderBetweenTwoThreads) {
  constexpr uint64_t kSteps = 10'000;
  StepQueue queue(2);
  std::thread beginning([&] {
    for (uint64_t id = 0; id < kSteps && queue.WaitForRoom(); ++id) queue.Push(Step(id));
    queue.Close();
  });
  uint64_t next = 0;
  while (auto step = queue.Pop()) {
    EXPECT_EQ(step->command.step_id, next++);
    queue.Done();
  }
  beginning.join();
  EXPECT_EQ(next, kSteps);
}

}  // namespace
}  // namespace weft::worker
