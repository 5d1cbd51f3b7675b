// The whole runner over three shell scripts that stand for the tiers. An admin
// server in the test's own process answers for their readiness.
#include "cli/runner.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "cli/ports.h"
#include "common/admin_server.h"
#include "common/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kStays[] = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done";

struct Fixture : ::testing::Test {
  Fixture() {
    folder = fs::temp_directory_path() / ("weft-runner-" + std::to_string(getpid()));
    fs::create_directories(folder);
    server = AdminServer::Start("127.0.0.1", 0, metrics, {.ready = [] { return absl::OkStatus(); }})
                 .value();
    options.groups = {"model"};
    options.commands.resize(3);
    for (const Member member : Members(1)) Script(member.tier, kStays);
  }
  ~Fixture() override { fs::remove_all(folder); }

  void Script(Tier tier, const std::string& script) {
    options.commands[IndexOf(tier, 1)] = {.argv = {"/bin/sh", "-c", script},
                                          .admin_port = server->port()};
  }
  void NeverReady(Tier tier) {
    options.commands[IndexOf(tier, 1)].admin_port = FreePorts(1).value().front();
  }
  // Run in a process of its own, as it is meant to be.
  void Start() {
    runner = fork();
    if (runner != 0) return;
    if (!freopen((folder / "log").c_str(), "w", stderr)) _exit(99);
    if (!freopen((folder / "out").c_str(), "w", stdout)) _exit(99);
    InitLog("weft", {.format = log_format});
    _exit(cli::Run(options));
  }
  int Wait() {
    int status = 0;
    const bool has_ended = Eventually([&] { return waitpid(runner, &status, WNOHANG) == runner; });
    EXPECT_TRUE(has_ended) << Log();
    if (!has_ended) kill(runner, SIGKILL);  // its children end with it
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
  std::string Read(const char* name) {
    std::stringstream text;
    text << std::ifstream(folder / name).rdbuf();
    return text.str();
  }
  std::string Log() { return Read("log"); }
  bool Eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 1000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  bool IsAnnounced() {
    return Eventually([&] { return Read("out") == "at your service\n"; });
  }

  Metrics metrics{"test"};
  std::unique_ptr<AdminServer> server;
  RunnerOptions options{.drain_timeout = Duration(5'000), .greeting = "at your service\n"};
  std::string log_format = "text";
  fs::path folder;
  pid_t runner = -1;
};

using RunnerTest = Fixture;

TEST_F(RunnerTest, GreetsWhenReadyAndDrainsInOrderOnCtrlC) {
  Start();
  ASSERT_TRUE(IsAnnounced()) << Log();
  ASSERT_TRUE(Eventually([&] { return Log().find("gateway: up") != std::string::npos; }));
  kill(runner, SIGINT);
  EXPECT_EQ(Wait(), 0);
  const std::string log = Log();
  const size_t gateway = log.find("gateway: bye");
  const size_t worker = log.find("worker: bye");
  const size_t scheduler = log.find("scheduler: bye");
  ASSERT_NE(scheduler, std::string::npos) << log;
  EXPECT_LT(gateway, worker) << log;
  EXPECT_LT(worker, scheduler) << log;
}

TEST_F(RunnerTest, ADeadWorkerIsStartedAgain) {
  const std::string count = (folder / "count").string();
  Script(Tier::kWorker, "echo x >> " + count + "; " + kStays);
  Start();
  ASSERT_TRUE(IsAnnounced()) << Log();
  // The pid is told by nobody but /proc: the child that runs the worker's script.
  const auto worker_pid = [&]() -> pid_t {
    for (const auto& entry : fs::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "cmdline");
      std::stringstream text;
      text << file.rdbuf();
      if (text.str().starts_with("/bin/sh") && text.str().find(count) != std::string::npos) {
        return std::stoi(entry.path().filename());
      }
    }
    return -1;
  };
  ASSERT_GT(worker_pid(), 0);
  kill(worker_pid(), SIGKILL);
  EXPECT_TRUE(Eventually([&] { return fs::file_size(count) == 4; })) << Log();
  EXPECT_THAT(Log(), HasSubstr("worker ended: killed by SIGKILL; it starts again in 0.2 s"));
  kill(runner, SIGTERM);
  EXPECT_EQ(Wait(), 0);
}

TEST_F(RunnerTest, ADeadGatewayEndsTheWholeWithNameCauseAndExitCode) {
  Script(Tier::kGateway, "echo port taken >&2; exit 4");
  Start();
  EXPECT_EQ(Wait(), 4);
  EXPECT_THAT(Log(), HasSubstr("gateway: port taken"));
  EXPECT_THAT(Log(), HasSubstr("E weft: gateway ended: exit code 4"));
}

TEST_F(RunnerTest, ASecondSignalEndsAtOnceThoughAChildHangs) {
  Script(Tier::kGateway, "trap '' TERM; echo up; while :; do sleep 0.05; done");
  Start();
  ASSERT_TRUE(Eventually([&] { return Log().find("gateway: up") != std::string::npos; }));
  kill(runner, SIGINT);
  ASSERT_TRUE(Eventually([&] { return Log().find("draining") != std::string::npos; }));
  kill(runner, SIGINT);
  EXPECT_EQ(Wait(), 130);
}

TEST_F(RunnerTest, AnExecutableThatIsMissingIsNamed) {
  options.commands[1].argv = {"/no/such/weft-worker"};
  Start();
  EXPECT_EQ(Wait(), 1);
  EXPECT_THAT(Log(), HasSubstr("cannot start /no/such/weft-worker"));
}

TEST_F(RunnerTest, ForeignLinesAreWrappedInTheLogsFormat) {
  log_format = "json";
  Script(Tier::kWorker, R"(echo 'terminate "called"'; exit 1)");
  NeverReady(Tier::kWorker);
  Start();
  EXPECT_EQ(Wait(), 1);
  EXPECT_THAT(Log(), HasSubstr(R"("tier":"worker","message":"terminate \"called\""})"));
}

TEST_F(RunnerTest, ACauseOfWaitingIsToldOnce) {
  server.reset();
  int calls = 0;
  server = AdminServer::Start("127.0.0.1", 0, metrics, {.ready = [&]() -> absl::Status {
                                if (++calls > 12) return absl::OkStatus();
                                return absl::UnavailableError("no worker attached");
                              }})
               .value();
  options.groups = {"model"};
  options.commands.resize(3);
  for (const Member member : Members(1)) Script(member.tier, kStays);
  Start();
  ASSERT_TRUE(IsAnnounced()) << Log();
  kill(runner, SIGTERM);
  EXPECT_EQ(Wait(), 0);
  const std::string log = Log();
  const size_t first = log.find("waiting: no worker attached");
  ASSERT_NE(first, std::string::npos) << log;
  EXPECT_EQ(log.find("waiting", first + 1), std::string::npos) << log;
}

TEST(IsLogLine, KnowsBothFormatsOfItsTierOnly) {
  EXPECT_TRUE(IsLogLine("2026-11-01 12:00:00.123 I worker: ready", "worker"));
  EXPECT_TRUE(IsLogLine(R"({"time":"2026-11-01T12:00:00.123Z","level":"info"})", "worker"));
  EXPECT_FALSE(IsLogLine("2026-11-01 12:00:00.123 I worker: ready", "gateway"));
  EXPECT_FALSE(IsLogLine("worker: ready", "worker"));
  EXPECT_FALSE(IsLogLine("", "worker"));
}

}  // namespace
}  // namespace weft::cli
