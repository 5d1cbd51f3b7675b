// The real server with real workers on the simulated backend, over loopback.
#include "scheduler/rpc/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/grpc_channel.h"
#include "scheduler/rpc/testing/gateway_client.h"
#include "worker/engine/simulated_backend.h"
#include "worker/rpc/worker.h"

namespace weft::scheduler {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr int kVocabSize = 1000;

// Fast enough that a test's thousand steps take no time to speak of.
worker::SimulatedOptions FastWorker() {
  return {.speed = 1e4,
          .kv_bytes = int64_t{1000} * 16 * 28672,
          .vocab_size = kVocabSize,
          .max_context_tokens = 8192,
          .max_num_seqs = 64,
          .max_num_batched_tokens = 512};
}

// The simulated backend with a fault at a given step.
class FaultyBackend final : public worker::Backend {
 public:
  explicit FaultyBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

  const worker::BackendLimits& limits() const override { return inner_->limits(); }
  const std::string& fingerprint() const override { return inner_->fingerprint(); }
  const std::string& device() const override { return inner_->device(); }
  void Reset() override { inner_->Reset(); }
  absl::Status Begin(const worker::StepCommand& command) override { return inner_->Begin(command); }
  absl::StatusOr<worker::StepResult> Await() override {
    auto result = inner_->Await();
    if (--steps_until_fault_ == 0) return absl::InternalError("the device caught fire");
    if (result.ok() && steps_until_nan_ > 0 && --steps_until_nan_ == 0) {
      result->rows[0] = {.status = worker::RowStatus::kNonFinite};
    }
    return result;
  }

  void FailAfter(int num_steps) { steps_until_fault_ = num_steps; }
  void NonFiniteAfter(int num_steps) { steps_until_nan_ = num_steps; }

 private:
  std::unique_ptr<Backend> inner_;
  std::atomic<int> steps_until_fault_{-1};
  std::atomic<int> steps_until_nan_{-1};
};

// A worker process, in a thread.
class TestWorker {
 public:
  TestWorker(const std::string& address, const worker::SimulatedOptions& options)
      : backend_(*worker::MakeSimulatedBackend(options)),
        metrics_(registry_),
        worker_(backend_, metrics_, address),
        thread_([this] { ended_ = worker_.Run(); }) {}
  ~TestWorker() {
    worker_.Stop();
    if (thread_.joinable()) thread_.join();
  }

  // As SIGTERM does. Returns how Run ended.
  absl::Status Leave() {
    worker_.Stop();
    return Join();
  }
  absl::Status Join() {
    if (thread_.joinable()) thread_.join();
    return ended_;
  }
  FaultyBackend& backend() { return backend_; }
  bool IsReady() const { return worker_.Ready().ok(); }
  bool AwaitReady() {
    const auto deadline = steady_clock::now() + std::chrono::seconds(10);
    while (!worker_.Ready().ok() && steady_clock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(5));
    }
    return worker_.Ready().ok();
  }

 private:
  Metrics registry_{"worker"};
  FaultyBackend backend_;
  worker::WorkerMetrics metrics_;
  worker::Worker worker_;
  absl::Status ended_;
  std::thread thread_;
};

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    options_.loop.epoch = 1000;
    options_.loop.no_worker_patience = 60'000'000;
  }

  void StartServer() {
    auto server = Server::Start(options_, metrics_, [] { return std::string("elsewhere:1"); });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    server_->Lead(options_.loop.epoch);
    address_ = absl::StrCat("127.0.0.1:", server_->port());
  }
  std::unique_ptr<TestWorker> JoinWorker(worker::SimulatedOptions options = FastWorker()) {
    return std::make_unique<TestWorker>(address_, options);
  }
  // Server, one worker, one gateway that knows of it.
  void StartAll(worker::SimulatedOptions options = FastWorker()) {
    StartServer();
    worker_ = JoinWorker(options);
    gateway_ = std::make_unique<GatewayClient>(address_);
    ASSERT_TRUE(gateway_->welcomed());
    ASSERT_TRUE(AwaitWorkers(*gateway_, 1));
  }
  static bool AwaitWorkers(GatewayClient& gateway, uint32_t num_workers) {
    return gateway.AwaitLoad(
        [&](const v1::Load& load) { return load.num_ready_workers() == num_workers; });
  }
  static bool AwaitIdle(GatewayClient& gateway) {
    return gateway.AwaitLoad([](const v1::Load& load) {
      return load.num_running() == 0 && load.num_waiting() == 0 && load.kv_usage() == 0;
    });
  }

  static v1::Submit Request(uint64_t seed, int num_tokens, int prompt_length = 5) {
    v1::Submit submit;
    for (int i = 0; i < prompt_length; ++i) {
      submit.add_prompt_tokens(static_cast<int32_t>((seed * 31 + i * 7) % kVocabSize));
    }
    submit.set_max_tokens(num_tokens);
    submit.mutable_sampling()->set_temperature(1);
    submit.mutable_sampling()->set_top_p(1);
    submit.mutable_sampling()->set_repetition_penalty(1);
    submit.mutable_sampling()->set_seed(seed);
    return submit;
  }
  static std::vector<TokenId> Expected(uint64_t seed, int num_tokens, int first = 0) {
    std::vector<TokenId> tokens;
    for (int i = first; i < num_tokens; ++i) {
      tokens.push_back(worker::SimulatedOutput({.seed = seed}, i, kVocabSize));
    }
    return tokens;
  }
  void ExpectWhole(GatewayClient& gateway, uint32_t handle, uint64_t seed, int num_tokens) {
    ASSERT_TRUE(gateway.AwaitDone(handle)) << "handle " << handle;
    const Choice choice = gateway.Get(handle);
    ASSERT_TRUE(choice.finished) << choice.rejected->message();
    EXPECT_EQ(choice.finished->reason(), v1::FINISH_REASON_LENGTH) << choice.finished->message();
    EXPECT_EQ(choice.num_ends, 1);
    EXPECT_TRUE(choice.contiguous);
    EXPECT_THAT(choice.tokens, ElementsAreArray(Expected(seed, num_tokens)));
  }
  double CounterValue(const std::string& name) {
    const std::string text = registry_.Text();
    const size_t at = text.find(absl::StrCat("\n", name, " "));
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  ServerOptions options_;
  Metrics registry_{"scheduler"};
  SchedulerMetrics metrics_{registry_};
  std::unique_ptr<Server> server_;
  std::string address_;
  std::unique_ptr<TestWorker> worker_;
  std::unique_ptr<GatewayClient> gateway_;
};

TEST_F(ServerTest, EveryStreamIsWholeAndItsOwn) {
  StartAll();
  std::vector<std::pair<uint32_t, int>> submitted;
  for (int i = 0; i < 100; ++i) {
    const int num_tokens = 1 + i % 50;
    submitted.emplace_back(gateway_->Submit(Request(i, num_tokens, 1 + i * 3)), num_tokens);
  }
  for (int i = 0; i < 100; ++i) {
    ExpectWhole(*gateway_, submitted[i].first, i, submitted[i].second);
  }
  EXPECT_TRUE(AwaitIdle(*gateway_));
}

TEST_F(ServerTest, WhoStandsByNamesTheLeaderAndThenLeads) {
  auto server = Server::Start(options_, metrics_, [] { return std::string("elsewhere:1"); });
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string address = absl::StrCat("127.0.0.1:", (*server)->port());
  EXPECT_TRUE((*server)->Ready().ok());
  {
    grpc::ClientContext context;
    auto stream = v1::SchedulerService::NewStub(PeerChannel(address))->Session(&context);
    v1::SchedulerFrame frame;
    ASSERT_TRUE(stream->Read(&frame));
    EXPECT_EQ(frame.not_leader().address(), "elsewhere:1");
    EXPECT_FALSE(stream->Read(&frame));
    EXPECT_TRUE(stream->Finish().ok());
  }
  {
    grpc::ClientContext context;
    auto stream = v1::WorkerService::NewStub(PeerChannel(address))->Attach(&context);
    v1::WorkerCommand command;
    ASSERT_TRUE(stream->Read(&command));
    EXPECT_EQ(command.not_leader().address(), "elsewhere:1");
    EXPECT_TRUE(stream->Finish().ok());
  }
  (*server)->Lead(77);
  EXPECT_FALSE((*server)->Ready().ok());  // no worker yet
  GatewayClient gateway(address);
  EXPECT_EQ(gateway.epoch(), 77u);
}

TEST_F(ServerTest, WelcomeTellsOfTheModel) {
  StartAll();
  const v1::Load load = gateway_->LastLoad();
  EXPECT_EQ(gateway_->epoch(), 1000u);
  EXPECT_EQ(load.model().vocab_size(), static_cast<uint32_t>(kVocabSize));
  EXPECT_EQ(load.model().max_context_tokens(), 8192u);
  EXPECT_EQ(load.model().kv_tokens(), 16000u);
  EXPECT_THAT(load.model().fingerprint(), HasSubstr("simulated"));
}

TEST_F(ServerTest, CancelAndConcludeEndASequenceOnce) {
  StartAll();
  const uint32_t cancelled = gateway_->Submit(Request(1, 8000));
  const uint32_t concluded = gateway_->Submit(Request(2, 8000));
  ASSERT_TRUE(gateway_->AwaitTokens(cancelled, 10));
  ASSERT_TRUE(gateway_->AwaitTokens(concluded, 10));
  gateway_->Cancel(cancelled);
  gateway_->Conclude(concluded, 7);
  ASSERT_TRUE(gateway_->AwaitDone(cancelled));
  ASSERT_TRUE(gateway_->AwaitDone(concluded));
  gateway_->Cancel(cancelled);  // late: no second end
  gateway_->Cancel(concluded);
  gateway_->Cancel(12345);
  EXPECT_TRUE(AwaitIdle(*gateway_));
  EXPECT_EQ(gateway_->Get(cancelled).finished->reason(), v1::FINISH_REASON_CANCELLED);
  EXPECT_EQ(gateway_->Get(concluded).finished->reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(gateway_->Get(cancelled).num_ends, 1);
  EXPECT_EQ(gateway_->Get(concluded).num_ends, 1);
}

TEST_F(ServerTest, WhatCanNeverRunIsRejectedWithItsCause) {
  StartAll();
  std::vector<std::pair<v1::Submit, std::string>> wrong;
  v1::Submit submit = Request(1, 5);
  submit.set_prompt_tokens(2, kVocabSize);
  wrong.emplace_back(submit, "id 1000");
  submit = Request(1, 5);
  submit.set_prompt_tokens(0, -1);
  wrong.emplace_back(submit, "id -1");
  submit = Request(1, 5);
  submit.clear_prompt_tokens();
  wrong.emplace_back(submit, "empty");
  submit = Request(1, 5);
  submit.mutable_sampling()->set_top_p(0);
  wrong.emplace_back(submit, "top_p");
  submit = Request(1, 5);
  submit.mutable_sampling()->add_stop_token_ids(5000);
  wrong.emplace_back(submit, "stop_token_ids");
  submit = Request(1, 0);
  wrong.emplace_back(submit, "max_tokens");
  submit = Request(1, 5, 9000);
  wrong.emplace_back(submit, "");
  for (const auto& [request, cause] : wrong) {
    const uint32_t handle = gateway_->Submit(request);
    ASSERT_TRUE(gateway_->AwaitDone(handle)) << cause;
    const Choice choice = gateway_->Get(handle);
    ASSERT_TRUE(choice.rejected) << cause;
    EXPECT_EQ(choice.rejected->code(), v1::REJECT_CODE_INVALID);
    EXPECT_THAT(choice.rejected->message(), HasSubstr(cause));
  }
  ExpectWhole(*gateway_, gateway_->Submit(Request(7, 20)), 7, 20);
}

TEST_F(ServerTest, LogprobsGoToThoseThatAsked) {
  StartAll();
  v1::Submit submit = Request(1, 30);
  submit.mutable_sampling()->set_num_logprobs(2);
  const uint32_t handle = gateway_->Submit(submit);
  ExpectWhole(*gateway_, handle, 1, 30);
  EXPECT_EQ(gateway_->Get(handle).num_logprobs, 30u);
  const uint32_t plain = gateway_->Submit(Request(2, 30));
  ExpectWhole(*gateway_, plain, 2, 30);
  EXPECT_EQ(gateway_->Get(plain).num_logprobs, 0u);
}

TEST_F(ServerTest, PromptLogprobsComeInPartsBeforeTheFirstToken) {
  StartAll();
  // Three steps of 512 tokens, beside others; the second time the prompt is cached.
  for (int i = 0; i < 2; ++i) {
    v1::Submit submit = Request(1, 5, 1200);
    submit.mutable_sampling()->set_num_prompt_logprobs(2);
    const uint32_t handle = gateway_->Submit(submit);
    const uint32_t plain = gateway_->Submit(Request(2 + i, 5, 40));
    ExpectWhole(*gateway_, handle, 1, 5);
    ExpectWhole(*gateway_, plain, 2 + i, 5);
    std::vector<uint32_t> expected(1199);
    std::iota(expected.begin(), expected.end(), 1);
    EXPECT_EQ(gateway_->Get(handle).prompt_positions, expected);
    EXPECT_TRUE(gateway_->Get(plain).prompt_positions.empty());
    EXPECT_EQ(gateway_->Get(handle).finished->num_cached_tokens(), 0u);
  }
  EXPECT_TRUE(AwaitIdle(*gateway_));
}

TEST_F(ServerTest, AResumedSequenceGoesOnBehindWhatWasDelivered) {
  StartAll();
  v1::Submit submit = Request(3, 40);
  for (TokenId id : Expected(3, 15)) submit.add_delivered_tokens(id);
  const uint32_t handle = gateway_->Submit(submit);
  ASSERT_TRUE(gateway_->AwaitDone(handle));
  const Choice choice = gateway_->Get(handle);
  EXPECT_EQ(choice.first_index, 15u);
  EXPECT_THAT(choice.tokens, ElementsAreArray(Expected(3, 40, 15)));
}

TEST_F(ServerTest, TimeoutEndsASequence) {
  StartAll({.speed = 1, .vocab_size = kVocabSize, .max_context_tokens = 100000});
  v1::Submit submit = Request(3, 90000);
  submit.set_timeout_ms(100);
  const uint32_t handle = gateway_->Submit(submit);
  ASSERT_TRUE(gateway_->AwaitDone(handle));
  EXPECT_EQ(gateway_->Get(handle).finished->reason(), v1::FINISH_REASON_TIMEOUT);
}

TEST_F(ServerTest, WithoutAnyWorkerYetASubmitIsRejected) {
  StartServer();
  GatewayClient gateway(address_);
  const uint32_t handle = gateway.Submit(Request(1, 5));
  ASSERT_TRUE(gateway.AwaitDone(handle));
  ASSERT_TRUE(gateway.Get(handle).rejected);
  EXPECT_EQ(gateway.Get(handle).rejected->code(), v1::REJECT_CODE_NO_WORKER);
  EXPECT_FALSE(server_->Ready().ok());
}

TEST_F(ServerTest, AGatewaysDeathFreesItsBlocksWithinASecond) {
  StartAll({.speed = 1, .vocab_size = kVocabSize});
  GatewayClient other(address_);
  for (int i = 0; i < 20; ++i) gateway_->Submit(Request(i, 100'000));
  const uint32_t survivor = other.Submit(Request(99, 3000));
  ASSERT_TRUE(other.AwaitLoad([](const v1::Load& l) { return l.num_running() == 21; }));
  const auto broken = steady_clock::now();
  gateway_->Break();
  ASSERT_TRUE(other.AwaitLoad([](const v1::Load& l) { return l.num_running() == 1; }));
  EXPECT_LT(steady_clock::now() - broken, milliseconds(1500));  // loads come once a second
  ExpectWhole(other, survivor, 99, 3000);
  EXPECT_TRUE(AwaitIdle(other));
}

TEST_F(ServerTest, AGatewayThatHangsIsCutOffAndHarmsNobody) {
  options_.max_outbox_bytes = 64 << 10;
  StartAll();
  GatewayClient slow(address_);
  slow.PauseReading(true);
  for (int i = 0; i < 60; ++i) {
    v1::Submit submit = Request(i, 8000);
    submit.mutable_sampling()->set_num_logprobs(20);
    slow.Submit(submit);
  }
  const uint32_t handle = gateway_->Submit(Request(5, 500));
  ExpectWhole(*gateway_, handle, 5, 500);
  const auto deadline = steady_clock::now() + std::chrono::seconds(20);
  while (CounterValue("weft_scheduler_sessions_cut_total") != 1 && steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(CounterValue("weft_scheduler_sessions_cut_total"), 1);
  EXPECT_TRUE(AwaitIdle(*gateway_));
  slow.PauseReading(false);
  EXPECT_TRUE(slow.AwaitEnd());
}

TEST_F(ServerTest, AGatewayThatLagsGetsFewerLargerFrames) {
  StartAll({.speed = 20, .vocab_size = kVocabSize, .max_num_seqs = 64});
  GatewayClient lagging(address_);
  // Enough to fill what the connection itself holds, then more.
  lagging.PauseReading(true);
  std::vector<uint32_t> handles;
  for (int i = 0; i < 60; ++i) handles.push_back(lagging.Submit(Request(i, 3000)));
  std::this_thread::sleep_for(milliseconds(100));
  ExpectWhole(*gateway_, gateway_->Submit(Request(70, 3000)), 70, 3000);
  lagging.PauseReading(false);
  for (int i = 0; i < 60; ++i) ExpectWhole(lagging, handles[i], i, 3000);
  EXPECT_LT(lagging.num_frames(), 3000);  // there were as many steps
  EXPECT_EQ(CounterValue("weft_scheduler_sessions_cut_total"), 0);
}

TEST_F(ServerTest, AFailedStepCostsNoTokenAndNoStream) {
  StartAll();
  worker_->backend().FailAfter(40);
  std::vector<uint32_t> handles;
  for (int i = 0; i < 10; ++i) handles.push_back(gateway_->Submit(Request(i, 100)));
  for (int i = 0; i < 10; ++i) ExpectWhole(*gateway_, handles[i], i, 100);
  EXPECT_EQ(CounterValue("weft_scheduler_workers_lost_total"), 1);
  EXPECT_TRUE(AwaitIdle(*gateway_));
}

TEST_F(ServerTest, ANonFiniteRowEndsItsOwnSequenceOnly) {
  StartAll();
  const uint32_t poisoned = gateway_->Submit(Request(1, 8000));
  ASSERT_TRUE(gateway_->AwaitTokens(poisoned, 5));
  worker_->backend().NonFiniteAfter(5);
  ASSERT_TRUE(gateway_->AwaitDone(poisoned));
  const Choice choice = gateway_->Get(poisoned);
  EXPECT_EQ(choice.finished->reason(), v1::FINISH_REASON_ERROR);
  EXPECT_FALSE(choice.finished->message().empty());
  ExpectWhole(*gateway_, gateway_->Submit(Request(2, 50)), 2, 50);
}

TEST_F(ServerTest, StreamsGoOnWithTheNextWorkerWhenOneLeaves) {
  StartAll();
  std::vector<uint32_t> handles;
  for (int i = 0; i < 10; ++i) handles.push_back(gateway_->Submit(Request(i, 2000)));
  ASSERT_TRUE(gateway_->AwaitTokens(handles[0], 5));
  EXPECT_TRUE(worker_->Leave().ok());
  ASSERT_TRUE(AwaitWorkers(*gateway_, 0));
  std::unique_ptr<TestWorker> next = JoinWorker();
  for (int i = 0; i < 10; ++i) ExpectWhole(*gateway_, handles[i], i, 2000);
  EXPECT_EQ(CounterValue("weft_scheduler_workers_lost_total"), 0);
  EXPECT_TRUE(AwaitIdle(*gateway_));
}

TEST_F(ServerTest, WorkOutlivesAWorkerButNotForEver) {
  options_.loop.no_worker_patience = 300'000;
  StartAll();
  const uint32_t handle = gateway_->Submit(Request(1, 8000));
  ASSERT_TRUE(gateway_->AwaitTokens(handle, 5));
  ASSERT_TRUE(worker_->Leave().ok());
  ASSERT_TRUE(gateway_->AwaitDone(handle));
  EXPECT_EQ(gateway_->Get(handle).finished->reason(), v1::FINISH_REASON_ERROR);
  EXPECT_THAT(gateway_->Get(handle).finished->message(), HasSubstr("no worker"));
  const uint32_t late = gateway_->Submit(Request(2, 5));
  ASSERT_TRUE(gateway_->AwaitDone(late));
  EXPECT_EQ(gateway_->Get(late).rejected->code(), v1::REJECT_CODE_NO_WORKER);
}

TEST_F(ServerTest, AWorkerOfAnotherModelIsRefusedWithTheDifference) {
  StartAll();
  worker::SimulatedOptions other = FastWorker();
  other.model_name = "another";
  const absl::Status refused = JoinWorker(other)->Join();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("model=another"));
  EXPECT_THAT(std::string(refused.message()), testing::Not(HasSubstr("vocab_size")));
}

TEST_F(ServerTest, DrainFinishesWhatRunsAndRefusesTheRest) {
  StartAll({.speed = 10, .vocab_size = kVocabSize});
  const uint32_t running = gateway_->Submit(Request(1, 2000));
  ASSERT_TRUE(gateway_->AwaitTokens(running, 5));
  std::thread drain([&] { server_->Drain(); });
  while (server_->Ready().ok()) std::this_thread::sleep_for(milliseconds(1));
  const uint32_t late = gateway_->Submit(Request(2, 5));
  ASSERT_TRUE(gateway_->AwaitDone(late));
  EXPECT_EQ(gateway_->Get(late).rejected->code(), v1::REJECT_CODE_DRAINING);
  ExpectWhole(*gateway_, running, 1, 2000);
  EXPECT_TRUE(gateway_->AwaitEnd());
  drain.join();
}

TEST_F(ServerTest, HandsOverWhatIsOpenAndThenNamesTheLeader) {
  StartAll({.speed = 10, .vocab_size = kVocabSize});
  GatewayClient other(address_);
  const uint32_t running = gateway_->Submit(Request(1, 2000));
  ASSERT_TRUE(gateway_->AwaitTokens(running, 5));
  server_->HandOver("elsewhere:1");
  for (GatewayClient* gateway : {gateway_.get(), &other}) {
    ASSERT_TRUE(gateway->AwaitEnd());
    EXPECT_EQ(gateway->leader(), "elsewhere:1");
  }
  EXPECT_FALSE(gateway_->Get(running).done());  // it goes on there
  EXPECT_TRUE(gateway_->Get(running).contiguous);
  EXPECT_FALSE(server_->leads());
  GatewayClient late(address_);
  EXPECT_FALSE(late.welcomed());
  EXPECT_EQ(late.leader(), "elsewhere:1");
  EXPECT_FALSE(worker_->IsReady());  // what it was told is not here
  server_->Drain();
}

TEST_F(ServerTest, WhatHandsOverHasLostNothing) {
  StartAll({.speed = 10, .vocab_size = kVocabSize});
  gateway_->Submit(Request(1, 2000));
  server_->HandOver("elsewhere:1");
  server_->Drain();
  EXPECT_EQ(CounterValue("weft_scheduler_workers_lost_total"), 0);
}

// ---- a worker that misbehaves, frame by frame ----

class RawWorker {
 public:
  explicit RawWorker(const std::string& address)
      : stub_(v1::WorkerService::NewStub(PeerChannel(address))) {
    context_.set_wait_for_ready(true);
    stream_ = stub_->Attach(&context_);
    v1::WorkerFrame frame;
    v1::WorkerHello& hello = *frame.mutable_hello();
    hello.set_worker_id("raw");
    hello.set_fingerprint("raw");
    v1::WorkerLimits& limits = *hello.mutable_limits();
    limits.set_num_blocks(100);
    limits.set_block_tokens(16);
    limits.set_max_rows(4);
    limits.set_max_step_tokens(64);
    limits.set_max_steps_in_flight(1);
    limits.set_max_context_tokens(1000);
    limits.set_vocab_size(kVocabSize);
    stream_->Write(frame);
    v1::WorkerCommand welcome = Read();
    epoch_ = welcome.epoch();
  }
  ~RawWorker() {
    context_.TryCancel();
    stream_->Finish();
  }

  v1::WorkerCommand Read() {
    v1::WorkerCommand command;
    ended_ = !stream_->Read(&command);
    return command;
  }
  // One token for each row, from a term `epoch_offset` away.
  void Answer(const v1::Step& step, TokenId token, int epoch_offset = 0) {
    v1::WorkerFrame frame;
    frame.set_epoch(epoch_ + epoch_offset);
    frame.mutable_step_done()->set_step_id(step.step_id());
    for (int i = 0; i < step.row_slots_size(); ++i) {
      frame.mutable_step_done()->add_statuses(v1::ROW_STATUS_OK);
      frame.mutable_step_done()->add_num_tokens(1);
      frame.mutable_step_done()->add_tokens(token);
    }
    stream_->Write(frame);
  }
  void Heartbeat() {
    v1::WorkerFrame frame;
    frame.set_epoch(epoch_);
    frame.mutable_heartbeat();
    stream_->Write(frame);
  }
  bool ended() const { return ended_; }
  uint64_t epoch() const { return epoch_; }

 private:
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::WorkerFrame, v1::WorkerCommand>> stream_;
  uint64_t epoch_ = 0;
  bool ended_ = false;
};

TEST_F(ServerTest, AWorkerThatFallsSilentIsCutAndItsWorkGoesOn) {
  options_.loop.worker_silence = 300'000;
  StartServer();
  RawWorker silent(address_);
  GatewayClient gateway(address_);
  ASSERT_TRUE(AwaitWorkers(gateway, 1));
  const uint32_t handle = gateway.Submit(Request(1, 3));
  const v1::WorkerCommand first = silent.Read();
  ASSERT_TRUE(first.has_step());
  silent.Answer(first.step(), 77);
  ASSERT_TRUE(gateway.AwaitTokens(handle, 1));
  ASSERT_TRUE(AwaitWorkers(gateway, 0));
  while (!silent.ended()) silent.Read();
  silent.Answer(first.step(), 78);  // nothing that it sends later counts
  RawWorker next(address_);
  const v1::WorkerCommand again = next.Read();
  ASSERT_TRUE(again.has_step());
  ASSERT_EQ(again.step().entries_size(), 1);
  EXPECT_EQ(again.step().entries(0).tokens_size(), 6);  // prompt of 5, and 77
  EXPECT_EQ(again.step().entries(0).tokens(5), 77);
}

TEST_F(ServerTest, AWorkerStuckInAStepIsCutThoughItsHeartBeats) {
  options_.loop.worker_silence = 400'000;
  options_.loop.first_step_limit = 1'000'000;
  StartServer();
  RawWorker stuck(address_);
  GatewayClient gateway(address_);
  ASSERT_TRUE(AwaitWorkers(gateway, 1));
  gateway.Submit(Request(1, 3));
  const auto started = steady_clock::now();
  std::atomic<bool> lost{false};
  std::thread heart([&] {
    while (!lost) {
      stuck.Heartbeat();
      std::this_thread::sleep_for(milliseconds(50));
    }
  });
  EXPECT_TRUE(AwaitWorkers(gateway, 0));
  lost = true;
  heart.join();
  EXPECT_GE(steady_clock::now() - started, milliseconds(900));
}

TEST_F(ServerTest, FramesOfALowerTermAreIgnored) {
  StartServer();
  RawWorker worker(address_);
  EXPECT_EQ(worker.epoch(), 1000u);
  GatewayClient gateway(address_);
  ASSERT_TRUE(AwaitWorkers(gateway, 1));
  const uint32_t handle = gateway.Submit(Request(1, 1));
  const v1::WorkerCommand command = worker.Read();
  worker.Answer(command.step(), 66, -1);
  worker.Answer(command.step(), 77);
  ASSERT_TRUE(gateway.AwaitDone(handle));
  EXPECT_THAT(gateway.Get(handle).tokens, testing::ElementsAre(77));
}

TEST_F(ServerTest, AnAnswerToNoStepLosesTheWorker) {
  StartServer();
  RawWorker worker(address_);
  GatewayClient gateway(address_);
  ASSERT_TRUE(AwaitWorkers(gateway, 1));
  v1::Step never;
  never.set_step_id(99);
  never.add_row_slots(0);
  worker.Answer(never, 5);
  EXPECT_TRUE(AwaitWorkers(gateway, 0));
  worker.Read();
  EXPECT_TRUE(worker.ended());
}

TEST_F(ServerTest, AStreamThatDoesNotSayHelloIsEnded) {
  StartServer();
  auto stub = v1::SchedulerService::NewStub(PeerChannel(address_));
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  auto stream = stub->Session(&context);
  v1::GatewayFrame frame;
  frame.mutable_cancel();
  stream->Write(frame);
  v1::SchedulerFrame answer;
  EXPECT_FALSE(stream->Read(&answer));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace weft::scheduler
