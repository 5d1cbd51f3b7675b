#include "scheduler/rpc/group.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/metrics.h"

namespace weft::scheduler {
namespace {

using core::Micros;

class QuietWorker final : public WorkerPeer {
 public:
  uint64_t id() const override { return 1; }
  std::unique_ptr<v1::WorkerCommand> NewCommand() override {
    return std::make_unique<v1::WorkerCommand>();
  }
  void Send(std::unique_ptr<v1::WorkerCommand> command) override {
    if (command->has_not_leader()) leader = command->not_leader().address();
  }
  void Close(const absl::Status&) override {}
  void Cut() override { was_cut = true; }

  bool was_cut = false;
  std::string leader;  // that it was sent to
};

class QuietGateway final : public GatewayPeer {
 public:
  uint64_t id() const override { return 2; }
  Told Tell(absl::FunctionRef<void(Outbox&)> add) override {
    Outbox outbox;
    add(outbox);
    v1::SchedulerFrame frame;
    outbox.Take(1, frame);
    leader = frame.not_leader().address();
    return Told::kYes;
  }
  void Close(const absl::Status& status) override { closed = status; }

  std::string leader;  // that it was sent to
  std::optional<absl::Status> closed;
};

class GroupTest : public ::testing::Test {
 protected:
  void Attach(Micros now) {
    WorkerCame came{.peer = worker_, .hello = {}};
    came.hello.set_worker_id("w");
    came.hello.set_fingerprint("tiny");
    v1::WorkerLimits& limits = *came.hello.mutable_limits();
    limits.set_num_blocks(100);
    limits.set_block_tokens(16);
    limits.set_max_rows(4);
    limits.set_max_step_tokens(64);
    limits.set_max_steps_in_flight(2);
    limits.set_max_context_tokens(1000);
    limits.set_vocab_size(100);
    group_.Apply(came, now);
    group_.Turn(now);
    ASSERT_EQ(group_.num_workers_ready(), 1);
  }
  // Turns as they are due; the time of the first behind which the worker is gone.
  Micros TurnsUntilLost(Micros now, Micros until) {
    for (; now < until && group_.num_workers_ready() > 0; now = group_.next_turn()) {
      group_.Turn(now);
    }
    return now;
  }

  static constexpr Micros kStart = 1'000'000'000;
  Metrics registry_{"test"};
  SchedulerMetrics metrics_{registry_};
  Group group_{{.epoch = 1}, metrics_, kStart};
  std::shared_ptr<QuietWorker> worker_ = std::make_shared<QuietWorker>();
};

TEST_F(GroupTest, ASilentWorkerIsLostWithinThreeSeconds) {
  Attach(kStart);
  const Micros lost = TurnsUntilLost(kStart, kStart + 10'000'000);
  EXPECT_GT(lost, kStart + 2'500'000);
  EXPECT_LT(lost, kStart + 3'250'000);  // the turn behind
  EXPECT_TRUE(worker_->was_cut);
}

TEST_F(GroupTest, WhatTheSchedulerItselfSleepsThroughIsNoSilence) {
  Attach(kStart);
  // Stopped, or busy: the worker's heartbeats have not been read yet.
  const Micros awake = kStart + 20'000'000;
  group_.Turn(awake);
  EXPECT_EQ(group_.num_workers_ready(), 1);
  WorkerHeard heard{.stream_id = 1};
  group_.Apply(heard, awake);
  // From here on it is silent.
  const Micros lost = TurnsUntilLost(awake, awake + 10'000'000);
  EXPECT_GT(lost, awake + 2'500'000);
  EXPECT_LT(lost, awake + 3'250'000);
}

// Their streams began before the lead changed, their first frames came later.
TEST_F(GroupTest, WhoComesBehindAHandOverIsSentToTheLeader) {
  group_.HandOver("next:1");
  EXPECT_TRUE(group_.drained());
  const auto gateway = std::make_shared<QuietGateway>();
  GatewayCame gateway_came{.peer = gateway, .gateway_id = "g"};
  group_.Apply(gateway_came, kStart);
  EXPECT_EQ(gateway->leader, "next:1");
  EXPECT_TRUE(gateway->closed && gateway->closed->ok());
  EXPECT_EQ(group_.num_gateways(), 0);
  WorkerCame worker_came{.peer = worker_, .hello = {}};
  group_.Apply(worker_came, kStart);
  EXPECT_EQ(worker_->leader, "next:1");
  EXPECT_EQ(group_.num_workers_ready(), 0);
}

TEST_F(GroupTest, AGatewayThatComesBehindADrainIsSentOffBeforeItSubmits) {
  group_.Drain();
  group_.Turn(kStart);
  ASSERT_TRUE(group_.drained());
  const auto gateway = std::make_shared<QuietGateway>();
  GatewayCame came{.peer = gateway, .gateway_id = "g"};
  group_.Apply(came, kStart);
  ASSERT_TRUE(gateway->closed);
  EXPECT_EQ(gateway->closed->code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(group_.num_gateways(), 0);
}

}  // namespace
}  // namespace weft::scheduler
