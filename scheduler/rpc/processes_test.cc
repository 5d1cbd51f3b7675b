// weft-scheduler and weft-worker as processes, and what becomes of open streams
// when one of them is killed, stopped, or told to end.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/rpc/testing/gateway_client.h"
#include "worker/engine/simulated_backend.h"

namespace weft::scheduler {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::ElementsAreArray;

constexpr int kVocabSize = 1000;
constexpr int kNumTokens = 2000;  // some two seconds at an H200's speed

class Process {
 public:
  Process(const std::string& binary, const std::vector<std::string>& args) {
    int pipe_fds[2];
    EXPECT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(pipe_fds[1], STDERR_FILENO);
      const std::string path = absl::StrCat(WEFT_BINARY_DIR, "/", binary);
      std::vector<char*> argv = {const_cast<char*>(path.c_str())};
      for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
      argv.push_back(nullptr);
      execv(path.c_str(), argv.data());
      _exit(127);
    }
    close(pipe_fds[1]);
    log_ = fdopen(pipe_fds[0], "r");
  }
  ~Process() {
    if (pid_ > 0) Kill();
    if (drain_.joinable()) drain_.join();
    fclose(log_);
  }

  // Reads the log up to a line with `text`; what follows it there, or "".
  std::string AwaitLog(const std::string& text) {
    char line[4096];
    while (fgets(line, sizeof(line), log_) != nullptr) {
      const std::string read = line;
      const size_t at = read.find(text);
      if (at == std::string::npos) continue;
      drain_ = std::thread([this] {
        char rest[4096];
        while (fgets(rest, sizeof(rest), log_) != nullptr) fputs(rest, stderr);
      });
      return read.substr(at + text.size());
    }
    return "";
  }

  void Signal(int signal) { kill(pid_, signal); }
  void Kill() {
    Signal(SIGKILL);
    Wait();
  }
  // Its exit code, or minus the signal that ended it.
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t pid_ = 0;
  FILE* log_ = nullptr;
  std::thread drain_;
};

class ProcessesTest : public ::testing::Test {
 protected:
  ProcessesTest() {
    StartScheduler(0);
    StartWorker(worker_);
    gateway_ = std::make_unique<GatewayClient>(address_);
    AwaitWorkers(1);
  }

  void StartScheduler(int port) {
    scheduler_ = std::make_unique<Process>(
        "weft-scheduler",
        std::vector<std::string>{absl::StrCat("--port=", port), "--admin-port=0"});
    port_ = std::stoi(scheduler_->AwaitLog("listening on 127.0.0.1:"));
    address_ = absl::StrCat("127.0.0.1:", port_);
  }
  void StartWorker(std::unique_ptr<Process>& worker) {
    worker = std::make_unique<Process>(
        "weft-worker", std::vector<std::string>{
                           "--backend=simulated", absl::StrCat("--scheduler=", address_),
                           "--admin-port=0", absl::StrCat("--simulated-vocab-size=", kVocabSize)});
    worker->AwaitLog("ready: simulated");
  }
  void AwaitWorkers(uint32_t num_workers) {
    ASSERT_TRUE(gateway_->AwaitLoad([&](const v1::Load& load) {
      return load.num_ready_workers() == num_workers;
    })) << "never "
        << num_workers << " workers";
  }
  static v1::Submit Request(uint64_t seed) {
    v1::Submit submit;
    for (int i = 0; i < 40; ++i) submit.add_prompt_tokens(i);
    submit.set_max_tokens(kNumTokens);
    submit.mutable_sampling()->set_temperature(1);
    submit.mutable_sampling()->set_top_p(1);
    submit.mutable_sampling()->set_repetition_penalty(1);
    submit.mutable_sampling()->set_seed(seed);
    return submit;
  }
  static std::vector<TokenId> Expected(uint64_t seed) {
    std::vector<TokenId> tokens;
    for (int i = 0; i < kNumTokens; ++i) {
      tokens.push_back(worker::SimulatedOutput({.seed = seed}, i, kVocabSize));
    }
    return tokens;
  }
  void SubmitTen() {
    for (uint64_t seed = 0; seed < 10; ++seed) handles_.push_back(gateway_->Submit(Request(seed)));
    ASSERT_TRUE(gateway_->AwaitTokens(handles_.back(), 50));
  }
  void ExpectTenWhole() {
    for (uint64_t seed = 0; seed < 10; ++seed) {
      ASSERT_TRUE(gateway_->AwaitDone(handles_[seed]));
      const Choice choice = gateway_->Get(handles_[seed]);
      ASSERT_TRUE(choice.finished) << choice.rejected->message();
      EXPECT_EQ(choice.finished->reason(), v1::FINISH_REASON_LENGTH) << choice.finished->message();
      EXPECT_TRUE(choice.contiguous);
      EXPECT_EQ(choice.num_ends, 1);
      EXPECT_THAT(choice.tokens, ElementsAreArray(Expected(seed)));
    }
    EXPECT_TRUE(gateway_->AwaitLoad(
        [](const v1::Load& load) { return load.num_running() == 0 && load.kv_usage() == 0; }));
  }

  int port_ = 0;
  std::string address_;
  std::unique_ptr<Process> scheduler_;
  std::unique_ptr<Process> worker_;
  std::unique_ptr<GatewayClient> gateway_;
  std::vector<uint32_t> handles_;
};

TEST_F(ProcessesTest, StreamsGoOnWhenAWorkerIsKilledAndStartedAnew) {
  SubmitTen();
  worker_->Kill();
  AwaitWorkers(0);
  StartWorker(worker_);
  ExpectTenWhole();
}

TEST_F(ProcessesTest, AStoppedWorkerIsReplacedAndComesBackEmpty) {
  SubmitTen();
  worker_->Signal(SIGSTOP);
  std::unique_ptr<Process> second;
  StartWorker(second);
  ExpectTenWhole();
  AwaitWorkers(1);
  worker_->Signal(SIGCONT);
  AwaitWorkers(2);
  handles_.clear();
  SubmitTen();
  ExpectTenWhole();
}

TEST_F(ProcessesTest, AWorkerToldToEndLeavesNoGap) {
  SubmitTen();
  std::unique_ptr<Process> second;
  StartWorker(second);
  AwaitWorkers(2);
  worker_->Signal(SIGTERM);
  EXPECT_EQ(worker_->Wait(), 0);
  ExpectTenWhole();
}

TEST_F(ProcessesTest, ASchedulerToldToEndFinishesItsStreams) {
  SubmitTen();
  scheduler_->Signal(SIGTERM);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    ASSERT_TRUE(gateway_->AwaitDone(handles_[seed]));
    EXPECT_THAT(gateway_->Get(handles_[seed]).tokens, ElementsAreArray(Expected(seed)));
  }
  EXPECT_TRUE(gateway_->AwaitEnd());
  EXPECT_EQ(scheduler_->Wait(), 0);
}

TEST_F(ProcessesTest, AWorkerOutlivesItsSchedulerAndServesTheNext) {
  SubmitTen();
  scheduler_->Kill();
  ASSERT_TRUE(gateway_->AwaitEnd());
  const Choice before = gateway_->Get(handles_[3]);
  const uint64_t old_epoch = gateway_->epoch();
  StartScheduler(port_);
  gateway_ = std::make_unique<GatewayClient>(address_);
  EXPECT_GT(gateway_->epoch(), old_epoch);
  AwaitWorkers(1);
  // What a gateway does: submit again, with what its client has.
  v1::Submit submit = Request(3);
  for (TokenId id : before.tokens) submit.add_delivered_tokens(id);
  const uint32_t handle = gateway_->Submit(submit);
  ASSERT_TRUE(gateway_->AwaitDone(handle));
  std::vector<TokenId> tokens = before.tokens;
  const Choice after = gateway_->Get(handle);
  tokens.insert(tokens.end(), after.tokens.begin(), after.tokens.end());
  EXPECT_EQ(after.first_index, before.tokens.size());
  EXPECT_THAT(tokens, ElementsAreArray(Expected(3)));
}

}  // namespace
}  // namespace weft::scheduler
