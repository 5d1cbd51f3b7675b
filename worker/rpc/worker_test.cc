// The worker against a scheduler that a test plays frame by frame.
#include "worker/rpc/worker.h"

#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/grpc_channel.h"
#include "weft/v1/worker.grpc.pb.h"

namespace weft::worker {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

using Stream = grpc::ServerReaderWriter<v1::WorkerCommand, v1::WorkerFrame>;

// Does what the test says, and counts.
class ScriptedBackend final : public Backend {
 public:
  const BackendLimits& limits() const override { return limits_; }
  const std::string& fingerprint() const override { return fingerprint_; }
  const std::string& device() const override { return device_; }
  absl::Status Begin(const StepCommand& command) override {
    ++num_steps;
    if (on_step) {
      if (auto s = on_step(command); !s.ok()) return s;
    }
    StepResult result{.step_id = command.step_id, .rows = {}};
    result.rows.resize(command.rows.size());
    for (RowResult& row : result.rows) row.tokens = {7};
    std::lock_guard lock(mutex_);
    begun_.push_back(std::move(result));
    return absl::OkStatus();
  }
  absl::StatusOr<StepResult> Await() override {
    if (on_await) {
      if (auto s = on_await(); !s.ok()) return s;
    }
    std::lock_guard lock(mutex_);
    StepResult result = std::move(begun_.front());
    begun_.pop_front();
    return result;
  }
  void Reset() override {
    std::lock_guard lock(mutex_);
    begun_.clear();
    ++num_resets;
  }

  std::function<absl::Status(const StepCommand&)> on_step;
  std::function<absl::Status()> on_await;
  std::atomic<int> num_steps{0};
  std::atomic<int> num_resets{0};

  void AllowInFlight(int num_steps) { limits_.max_steps_in_flight = num_steps; }

 private:
  BackendLimits limits_{.num_blocks = 10, .max_rows = 2, .max_step_tokens = 8, .vocab_size = 100};
  std::mutex mutex_;
  std::deque<StepResult> begun_;
  std::string fingerprint_ = "scripted";
  std::string device_ = "none";
};

// Runs one handler for each attachment, in order; the last one again and again.
class FakeScheduler final : public v1::WorkerService::Service {
 public:
  using Handler = std::function<grpc::Status(Stream&)>;

  explicit FakeScheduler(std::vector<Handler> handlers) : handlers_(std::move(handlers)) {
    grpc::ServerBuilder builder;
    ConfigurePeerServer(builder, "127.0.0.1:0", &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeScheduler() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  int num_attachments() const { return num_attachments_; }

 private:
  grpc::Status Attach(grpc::ServerContext*, Stream* stream) override {
    const size_t index = num_attachments_++;
    v1::WorkerFrame hello;
    if (!stream->Read(&hello) || !hello.has_hello()) return {grpc::StatusCode::ABORTED, "no hello"};
    return handlers_[std::min(index, handlers_.size() - 1)](*stream);
  }

  const std::vector<Handler> handlers_;
  std::atomic<int> num_attachments_{0};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

void Welcome(Stream& stream, uint64_t epoch) {
  v1::WorkerCommand command;
  command.set_epoch(epoch);
  command.mutable_welcome()->set_heartbeat_ms(20);
  stream.Write(command);
}

void SendStep(Stream& stream, uint64_t epoch, uint64_t step_id) {
  v1::WorkerCommand command;
  command.set_epoch(epoch);
  command.mutable_step()->set_step_id(step_id);
  command.mutable_step()->add_row_slots(0);
  command.mutable_step()->add_row_num_tokens(1);
  command.mutable_step()->add_row_num_new_blocks(0);
  stream.Write(command);
}

// The next frame that is no heartbeat; one without any content at the end.
v1::WorkerFrame ReadFrame(Stream& stream) {
  v1::WorkerFrame frame;
  while (stream.Read(&frame)) {
    if (!frame.has_heartbeat()) return frame;
  }
  return {};
}

// Drains the worker properly.
grpc::Status DrainWorker(Stream& stream, uint64_t epoch) {
  v1::WorkerCommand command;
  command.set_epoch(epoch);
  command.mutable_drain();
  stream.Write(command);
  v1::WorkerFrame frame;
  while (stream.Read(&frame)) {
  }
  return grpc::Status::OK;
}

class WorkerTest : public ::testing::Test {
 protected:
  ~WorkerTest() override {
    if (worker_) worker_->Stop();
    if (thread_.joinable()) thread_.join();
  }

  void Start(std::vector<FakeScheduler::Handler> handlers) {
    scheduler_ = std::make_unique<FakeScheduler>(std::move(handlers));
    StartWorker(scheduler_->address());
  }
  void StartWorker(const std::string& address) {
    worker_ = std::make_unique<Worker>(backend_, metrics_, address);
    thread_ = std::thread([this] { ended_.set_value(worker_->Run()); });
  }
  absl::Status AwaitEnd() {
    auto future = ended_.get_future();
    if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) {
      return absl::DeadlineExceededError("Run does not return");
    }
    return future.get();
  }
  // By the handler that is the last to be of interest.
  void AwaitDone() {
    ASSERT_EQ(done_.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  }

  Metrics registry_{"worker"};
  WorkerMetrics metrics_{registry_};
  ScriptedBackend backend_;
  std::unique_ptr<FakeScheduler> scheduler_;
  std::unique_ptr<Worker> worker_;
  std::promise<absl::Status> ended_;
  std::promise<void> done_;
  std::thread thread_;
};

TEST_F(WorkerTest, ALongStepIsNotSilence) {
  std::atomic<bool> go_on{false};
  backend_.on_step = [&](const StepCommand&) {
    while (!go_on) std::this_thread::sleep_for(milliseconds(1));
    return absl::OkStatus();
  };
  int num_heartbeats = 0;
  Start({[&](Stream& stream) {
    Welcome(stream, 5);
    SendStep(stream, 5, 1);
    v1::WorkerFrame frame;
    while (stream.Read(&frame) && !frame.has_step_done()) {
      if (frame.has_heartbeat() && ++num_heartbeats == 5) go_on = true;
    }
    EXPECT_EQ(frame.step_done().step_id(), 1u);
    EXPECT_EQ(frame.epoch(), 5u);
    done_.set_value();
    return DrainWorker(stream, 5);
  }});
  AwaitDone();
  EXPECT_GE(num_heartbeats, 5);
}

TEST_F(WorkerTest, AttachesToTheLeaderThatAStandbyNames) {
  FakeScheduler leader({[&](Stream& stream) {
    Welcome(stream, 5);
    done_.set_value();
    return DrainWorker(stream, 5);
  }});
  Start({[&](Stream& stream) {
    v1::WorkerCommand command;
    command.mutable_not_leader()->set_address(leader.address());
    stream.Write(command);
    return grpc::Status::OK;
  }});
  AwaitDone();
  worker_->Stop();
}

TEST_F(WorkerTest, GoesToTheNextLeaderWhenToldAndLeavesStepsBehind) {
  std::atomic<bool> go_on{false};
  backend_.on_step = [&](const StepCommand&) {
    while (!go_on) std::this_thread::sleep_for(milliseconds(1));
    return absl::OkStatus();
  };
  FakeScheduler next({[&](Stream& stream) {
    Welcome(stream, 6);
    SendStep(stream, 6, 1);
    const v1::WorkerFrame frame = ReadFrame(stream);
    EXPECT_EQ(frame.step_done().step_id(), 1u);
    EXPECT_EQ(frame.epoch(), 6u);
    done_.set_value();
    return DrainWorker(stream, 6);
  }});
  Start({[&](Stream& stream) {
    Welcome(stream, 5);
    SendStep(stream, 5, 70);
    SendStep(stream, 5, 71);
    v1::WorkerCommand command;
    command.set_epoch(5);
    command.mutable_not_leader()->set_address(next.address());
    stream.Write(command);
    go_on = true;
    return grpc::Status::OK;
  }});
  AwaitDone();
  worker_->Stop();
  EXPECT_TRUE(AwaitEnd().ok());
}

TEST_F(WorkerTest, TriesOneSchedulerAfterAnother) {
  scheduler_ = std::make_unique<FakeScheduler>(std::vector<FakeScheduler::Handler>{[&](Stream& s) {
    Welcome(s, 5);
    done_.set_value();
    return DrainWorker(s, 5);
  }});
  StartWorker("127.0.0.1:1, " + scheduler_->address());  // nobody listens at the first
  AwaitDone();
}

TEST_F(WorkerTest, StepsAreAnsweredInOrder) {
  Start({[&](Stream& stream) {
    Welcome(stream, 5);
    for (uint64_t id = 1; id <= 20; ++id) SendStep(stream, 5, id);
    for (uint64_t id = 1; id <= 20; ++id) EXPECT_EQ(ReadFrame(stream).step_done().step_id(), id);
    done_.set_value();
    return DrainWorker(stream, 5);
  }});
  AwaitDone();
}

TEST_F(WorkerTest, TheNextStepBeginsWhileOneIsAwaited) {
  backend_.AllowInFlight(2);
  // The first step is done only once the second has begun.
  backend_.on_await = [&] {
    while (backend_.num_steps < 2) std::this_thread::sleep_for(milliseconds(1));
    return absl::OkStatus();
  };
  Start({[&](Stream& stream) {
    Welcome(stream, 5);
    for (uint64_t id = 1; id <= 10; ++id) SendStep(stream, 5, id);
    for (uint64_t id = 1; id <= 10; ++id) EXPECT_EQ(ReadFrame(stream).step_done().step_id(), id);
    done_.set_value();
    return DrainWorker(stream, 5);
  }});
  AwaitDone();
}

TEST_F(WorkerTest, NoMoreStepsBeginThanTheBackendHolds) {
  backend_.AllowInFlight(2);
  std::atomic<bool> go_on{false};
  backend_.on_await = [&] {
    while (!go_on) std::this_thread::sleep_for(milliseconds(1));
    return absl::OkStatus();
  };
  Start({[&](Stream& stream) {
    Welcome(stream, 5);
    for (uint64_t id = 1; id <= 5; ++id) SendStep(stream, 5, id);
    while (backend_.num_steps < 2) std::this_thread::sleep_for(milliseconds(1));
    std::this_thread::sleep_for(milliseconds(50));
    EXPECT_EQ(backend_.num_steps, 2);
    go_on = true;
    for (uint64_t id = 1; id <= 5; ++id) EXPECT_EQ(ReadFrame(stream).step_done().step_id(), id);
    done_.set_value();
    return DrainWorker(stream, 5);
  }});
  AwaitDone();
}

TEST_F(WorkerTest, AStepThatCannotBeginLeavesThoseBeforeItAnswered) {
  backend_.AllowInFlight(2);
  backend_.on_step = [&](const StepCommand& command) {
    return command.step_id == 2 ? absl::InternalError("no memory") : absl::OkStatus();
  };
  backend_.on_await = [&] {
    while (backend_.num_steps < 2) std::this_thread::sleep_for(milliseconds(1));
    return absl::OkStatus();
  };
  Start({[&](Stream& stream) {
           Welcome(stream, 5);
           SendStep(stream, 5, 1);
           SendStep(stream, 5, 2);
           EXPECT_EQ(ReadFrame(stream).step_done().step_id(), 1u);
           const v1::WorkerFrame fault = ReadFrame(stream);
           EXPECT_EQ(fault.fault().step_id(), 2u);
           EXPECT_THAT(fault.fault().message(), HasSubstr("no memory"));
           return grpc::Status::OK;
         },
         [&](Stream& stream) {
           Welcome(stream, 5);
           done_.set_value();
           return DrainWorker(stream, 5);
         }});
  AwaitDone();
}

TEST_F(WorkerTest, AStepThatFailsTakesThoseBehindItAlong) {
  backend_.AllowInFlight(2);
  backend_.on_await = [&] {
    while (backend_.num_steps < 2) std::this_thread::sleep_for(milliseconds(1));
    return backend_.num_resets == 0 ? absl::InternalError("lost") : absl::OkStatus();
  };
  Start({[&](Stream& stream) {
           Welcome(stream, 5);
           SendStep(stream, 5, 1);
           SendStep(stream, 5, 2);
           const v1::WorkerFrame fault = ReadFrame(stream);
           EXPECT_EQ(fault.fault().step_id(), 1u);
           EXPECT_EQ(ReadFrame(stream).frame_case(), v1::WorkerFrame::FRAME_NOT_SET);
           return grpc::Status::OK;
         },
         [&](Stream& stream) {
           Welcome(stream, 5);
           SendStep(stream, 5, 7);
           EXPECT_EQ(ReadFrame(stream).step_done().step_id(), 7u);
           done_.set_value();
           return DrainWorker(stream, 5);
         }});
  AwaitDone();
  EXPECT_GE(backend_.num_resets, 1);
}

TEST_F(WorkerTest, WhatALowerTermSendsIsIgnored) {
  Start({[&](Stream& stream) {
    Welcome(stream, 5);
    SendStep(stream, 4, 1);
    SendStep(stream, 5, 2);
    EXPECT_EQ(ReadFrame(stream).step_done().step_id(), 2u);
    done_.set_value();
    return DrainWorker(stream, 5);
  }});
  AwaitDone();
  EXPECT_EQ(backend_.num_steps, 1);
}

TEST_F(WorkerTest, AHigherTermMakesItAttachAnewAndEmpty) {
  Start({[&](Stream& stream) {
           Welcome(stream, 5);
           SendStep(stream, 6, 1);
           EXPECT_EQ(ReadFrame(stream).frame_case(), v1::WorkerFrame::FRAME_NOT_SET);
           return grpc::Status::OK;
         },
         [&](Stream& stream) {
           Welcome(stream, 6);
           SendStep(stream, 6, 1);
           EXPECT_TRUE(ReadFrame(stream).has_step_done());
           done_.set_value();
           return DrainWorker(stream, 6);
         }});
  AwaitDone();
  EXPECT_GE(backend_.num_resets, 1);
}

TEST_F(WorkerTest, AReplacedSchedulersWelcomeIsNotTaken) {
  Start({[&](Stream& stream) {
           Welcome(stream, 6);
           SendStep(stream, 6, 1);
           EXPECT_TRUE(ReadFrame(stream).has_step_done());
           return grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone");
         },
         [&](Stream& stream) {
           Welcome(stream, 5);
           SendStep(stream, 5, 1);
           EXPECT_FALSE(ReadFrame(stream).has_step_done());
           return grpc::Status::OK;
         },
         [&](Stream& stream) {
           Welcome(stream, 7);
           done_.set_value();
           return DrainWorker(stream, 7);
         },
         [](Stream& stream) { return DrainWorker(stream, 7); }});
  AwaitDone();
  EXPECT_EQ(backend_.num_steps, 1);
}

TEST_F(WorkerTest, ABrokenContractIsReportedAndDoesNotEndTheProcess) {
  backend_.on_step = [](const StepCommand& command) {
    return command.step_id < 3 ? absl::InvalidArgumentError("slot 0 is not in use")
                               : absl::OkStatus();
  };
  auto breaks = [&](Stream& stream) {
    Welcome(stream, 5);
    SendStep(stream, 5, 2);
    const v1::WorkerFrame frame = ReadFrame(stream);
    EXPECT_EQ(frame.fault().step_id(), 2u);
    EXPECT_THAT(frame.fault().message(), HasSubstr("slot 0"));
    ReadFrame(stream);  // its end
    return grpc::Status::OK;
  };
  Start({breaks, breaks, breaks, [&](Stream& stream) {
           Welcome(stream, 5);
           SendStep(stream, 5, 3);
           EXPECT_TRUE(ReadFrame(stream).has_step_done());
           done_.set_value();
           return DrainWorker(stream, 5);
         }});
  AwaitDone();
  EXPECT_GE(backend_.num_resets, 3);
}

TEST_F(WorkerTest, ADeviceThatFailsTwiceInARowEndsTheProcess) {
  backend_.on_step = [](const StepCommand&) -> absl::Status {
    throw std::runtime_error("an illegal address");
  };
  Start({[&](Stream& stream) {
    Welcome(stream, 5);
    SendStep(stream, 5, 1);
    EXPECT_THAT(ReadFrame(stream).fault().message(), HasSubstr("illegal address"));
    ReadFrame(stream);
    return grpc::Status::OK;
  }});
  const absl::Status ended = AwaitEnd();
  EXPECT_EQ(ended.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(ended.message()), HasSubstr("illegal address"));
  EXPECT_EQ(backend_.num_steps, 2);
}

TEST_F(WorkerTest, ARefusalEndsTheProcessWithItsCause) {
  Start({[](Stream&) {
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "dtype=float32");
  }});
  const absl::Status ended = AwaitEnd();
  EXPECT_EQ(ended.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(ended.message()), HasSubstr("dtype=float32"));
}

TEST_F(WorkerTest, StopRunsWhatWasSentAndWaitsForDrain) {
  Start({[&](Stream& stream) {
    Welcome(stream, 5);
    while (!worker_->Ready().ok()) std::this_thread::sleep_for(milliseconds(1));
    worker_->Stop();
    EXPECT_TRUE(ReadFrame(stream).has_leaving());
    SendStep(stream, 5, 1);  // on its way when the worker said so
    EXPECT_TRUE(ReadFrame(stream).has_step_done());
    return DrainWorker(stream, 5);
  }});
  EXPECT_TRUE(AwaitEnd().ok());
  EXPECT_EQ(backend_.num_steps, 1);
  EXPECT_FALSE(worker_->Ready().ok());
}

TEST_F(WorkerTest, StopEndsAWorkerThatFindsNoScheduler) {
  StartWorker("127.0.0.1:1");
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_THAT(std::string(worker_->Ready().message()), HasSubstr("not attached"));
  worker_->Stop();
  EXPECT_TRUE(AwaitEnd().ok());
}

}  // namespace
}  // namespace weft::worker
