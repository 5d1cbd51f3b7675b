#include "cli/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace weft::cli {
namespace {

// Both ends close on exec.
struct Pipe {
  Pipe() { is_open = pipe2(ends, O_CLOEXEC) == 0; }
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  void CloseRead() { Close(ends[0]); }
  void CloseWrite() { Close(ends[1]); }
  int TakeRead() { return std::exchange(ends[0], -1); }
  static void Close(int& end) {
    if (end >= 0) close(end);
    end = -1;
  }
  bool is_open;
  int ends[2] = {-1, -1};
};

// In the child, between fork and exec: only what is safe there. Returns on
// failure alone, with errno set.
void Become(char* const* argv, char* const* environment, pid_t parent, int output) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int number : {SIGINT, SIGTERM, SIGPIPE, SIGCHLD}) signal(number, SIG_DFL);
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // it ended before the line above
  const int nothing = open("/dev/null", O_RDONLY);
  if (nothing < 0) return;
  if (dup2(nothing, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) return;
  if (nothing > 2) close(nothing);
  execve(argv[0], argv, environment);
}

// As exec takes them; they belong to `words`.
std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Ours, but for the names that `own` has.
std::vector<std::string> Environment(const std::vector<std::string>& own) {
  std::vector<std::string> all = own;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string inherited = *entry;
    const std::string name = inherited.substr(0, inherited.find('=') + 1);
    const bool is_ours = std::any_of(
        own.begin(), own.end(), [&](const std::string& word) { return word.starts_with(name); });
    if (!is_ours) all.push_back(inherited);
  }
  return all;
}

}  // namespace

absl::StatusOr<Process> Process::Start(const std::vector<std::string>& argv,
                                       const std::vector<std::string>& environment) {
  const std::vector<char*> words = Pointers(argv);
  const std::vector<std::string> all = Environment(environment);
  const std::vector<char*> variables = Pointers(all);

  Pipe output;
  Pipe failure;  // carries errno if exec fails, and closes if it does not
  if (!output.is_open || !failure.is_open) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot start ", argv[0]));
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot start ", argv[0]));
  if (pid == 0) {
    Become(words.data(), variables.data(), parent, output.ends[1]);
    const int error = errno;
    [[maybe_unused]] ssize_t written = write(failure.ends[1], &error, sizeof(error));
    _exit(127);
  }
  failure.CloseWrite();
  int error = 0;
  ssize_t size;
  do {
    size = read(failure.ends[0], &error, sizeof(error));
  } while (size < 0 && errno == EINTR);
  if (size == sizeof(error)) {
    waitpid(pid, nullptr, 0);
    return absl::ErrnoToStatus(error, absl::StrCat("cannot start ", argv[0]));
  }
  fcntl(output.ends[0], F_SETFL, O_NONBLOCK);
  return Process(pid, output.TakeRead());
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), output_(std::exchange(other.output_, -1)) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(output_, other.output_);
  return *this;
}

Process::~Process() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (output_ >= 0) close(output_);
}

void Process::Signal(int signal) {
  if (pid_ > 0) kill(pid_, signal);
}

std::optional<Ending> Process::Reap() {
  int status = 0;
  if (pid_ <= 0 || waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  if (WIFSIGNALED(status)) return Ending{.by_signal = true, .number = WTERMSIG(status)};
  return Ending{.by_signal = false, .number = WEXITSTATUS(status)};
}

std::vector<std::string> LineCutter::Feed(const char* data, size_t size) {
  std::vector<std::string> lines;
  for (const char* end = data + size; data < end;) {
    const size_t room = kMaxLineBytes - partial_.size();
    const size_t window = std::min<size_t>(room, end - data);
    const char* const newline = static_cast<const char*>(memchr(data, '\n', window));
    const size_t taken = newline == nullptr ? window : newline - data;
    partial_.append(data, taken);
    data += taken + (newline != nullptr);
    if (newline == nullptr && partial_.size() < kMaxLineBytes) break;
    lines.push_back(std::exchange(partial_, {}));
  }
  return lines;
}

std::string LineCutter::Rest() { return std::exchange(partial_, {}); }

}  // namespace weft::cli
