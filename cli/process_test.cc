#include "cli/process.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Process Shell(const std::string& script) {
  absl::StatusOr<Process> process = Process::Start({"/bin/sh", "-c", script});
  EXPECT_TRUE(process.ok()) << process.status();
  return *std::move(process);
}

// Everything it prints until it closes its output.
std::string Output(const Process& process) {
  std::string output;
  char bytes[256];
  while (true) {
    pollfd fd = {process.output(), POLLIN, 0};
    if (poll(&fd, 1, 10'000) != 1) return output + " (timeout)";
    const ssize_t size = read(process.output(), bytes, sizeof(bytes));
    if (size <= 0) return output;
    output.append(bytes, size);
  }
}

Ending WaitFor(Process& process) {
  while (true) {
    if (std::optional<Ending> ending = process.Reap()) return *ending;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

bool Exists(pid_t pid) { return kill(pid, 0) == 0; }

TEST(Process, OutputAndErrorComeThroughOnePipe) {
  Process process = Shell("echo one; echo two >&2");
  EXPECT_EQ(Output(process), "one\ntwo\n");
}

TEST(Process, ReapTellsExitCodesAndSignals) {
  Process first = Shell("exit 7");
  EXPECT_EQ(WaitFor(first).Describe(), "exit code 7");
  Process second = Shell("kill -SEGV $$");
  EXPECT_EQ(WaitFor(second).Describe(), "killed by SIGSEGV");
  EXPECT_EQ(second.Reap(), std::nullopt) << "told twice";
}

TEST(Process, AMissingExecutableIsAnErrorWithItsName) {
  EXPECT_THAT(Process::Start({"/no/such/weft-worker"}).status().ToString(),
              HasSubstr("/no/such/weft-worker"));
}

TEST(Process, ArgumentsArriveUnchanged) {
  absl::StatusOr<Process> process =
      Process::Start({"/bin/sh", "-c", "echo \"$1|$2\"", "sh", "a b", "--model=x$y"});
  ASSERT_TRUE(process.ok());
  EXPECT_EQ(Output(*process), "a b|--model=x$y\n");
}

TEST(Process, AChildHasNoBlockedSignalsThoughWeBlockThem) {
  sigset_t set, before;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, &before);
  Process process = Shell("echo up; sleep 30");
  char bytes[8];
  pollfd fd = {process.output(), POLLIN, 0};
  ASSERT_EQ(poll(&fd, 1, 10'000), 1);
  ASSERT_GT(read(process.output(), bytes, sizeof(bytes)), 0);
  process.Signal(SIGTERM);
  EXPECT_EQ(WaitFor(process).Describe(), "killed by SIGTERM");
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(Process, AChildIsNotInOurProcessGroup) {
  Process process = Shell("read -r _ < /dev/null; sleep 30");
  // A terminal sends Ctrl-C to a group.
  EXPECT_NE(getpgid(process.pid()), getpgid(0));
}

TEST(Process, TheDestructorEndsTheChild) {
  pid_t pid;
  {
    Process process = Shell("trap '' TERM; sleep 30");
    pid = process.pid();
    EXPECT_TRUE(Exists(pid));
  }
  EXPECT_FALSE(Exists(pid));
}

TEST(Process, AChildDoesNotOutliveAKilledParent) {
  // The parent is a copy of this process that starts a child, tells its pid and is
  // killed without a chance to clean up.
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // the orphan comes to us
  int tell[2];
  ASSERT_EQ(pipe(tell), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    absl::StatusOr<Process> process = Process::Start({"/bin/sleep", "30"});
    const pid_t pid = process.ok() ? process->pid() : -1;
    [[maybe_unused]] ssize_t size = write(tell[1], &pid, sizeof(pid));
    pause();
    _exit(0);
  }
  pid_t child = -1;
  ASSERT_EQ(read(tell[0], &child, sizeof(child)), static_cast<ssize_t>(sizeof(child)));
  ASSERT_GT(child, 0);
  kill(parent, SIGKILL);
  ASSERT_EQ(waitpid(parent, nullptr, 0), parent);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status)) << "it slept to its end";
  close(tell[0]);
  close(tell[1]);
}

std::vector<std::string> Feed(LineCutter& cutter, const std::string& bytes) {
  return cutter.Feed(bytes.data(), bytes.size());
}

TEST(LineCutter, LinesStayWholeHoweverTheyArrive) {
  LineCutter cutter;
  EXPECT_THAT(Feed(cutter, "on"), ElementsAre());
  EXPECT_THAT(Feed(cutter, "e\ntwo\nth"), ElementsAre("one", "two"));
  EXPECT_THAT(Feed(cutter, "ree\n"), ElementsAre("three"));
  EXPECT_EQ(cutter.Rest(), "");
  Feed(cutter, "last words");
  EXPECT_EQ(cutter.Rest(), "last words");
  EXPECT_EQ(cutter.Rest(), "");
}

TEST(LineCutter, AnEndlessLineComesInPieces) {
  LineCutter cutter;
  const std::string flood(LineCutter::kMaxLineBytes * 2 + 5, 'x');
  EXPECT_THAT(Feed(cutter, flood), ElementsAre(flood.substr(0, LineCutter::kMaxLineBytes),
                                               flood.substr(0, LineCutter::kMaxLineBytes)));
  EXPECT_EQ(cutter.Rest(), "xxxxx");
}

}  // namespace
}  // namespace weft::cli
