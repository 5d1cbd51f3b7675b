#include "cli/runner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "cli/process.h"
#include "common/probe.h"

namespace weft::cli {
namespace {

constexpr Duration kProbeInterval{100};
constexpr Duration kProbeLimit{2'000};
// What loads for long says so itself; this is for what waits in silence.
constexpr Duration kProgressInterval{10'000};

Time Now() { return std::chrono::steady_clock::now(); }

// One write a line: lines of several tiers stay whole.
void WriteLine(std::string line) {
  line += '\n';
  fwrite(line.data(), 1, line.size(), stderr);
}

class Signals {
 public:
  Signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int number : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&set, number);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);  // whoever reads our log or greeting may leave
    fd_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  }
  ~Signals() { close(fd_); }
  int fd() const { return fd_; }

  // The next signal that has come; 0: none.
  int Take() {
    signalfd_siginfo info;
    return read(fd_, &info, sizeof(info)) == sizeof(info) ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  int fd_ = -1;
};

class Runner {
 public:
  explicit Runner(const RunnerOptions& options)
      : options_(options),
        members_(Members(num_groups())),
        supervisor_(options.groups, options.drain_timeout),
        children_(members_.size()) {}

  int Run() {
    Perform(supervisor_.Begin(Now()));
    while (!exit_code_) {
      Wait();
      HearSignals();
      for (const Member member : members_) {
        RelayOutput(member);
        AskForReadiness(member);
      }
      Perform(supervisor_.OnTime(Now()));
    }
    for (const Member member : members_) RelayOutput(member);
    return *exit_code_;
  }

 private:
  struct Child {
    std::optional<Process> process;
    bool has_output = false;  // its pipe is open at the far end
    LineCutter lines;
    std::unique_ptr<Probe> probe;
    Time probe_since;
    Time next_probe;
    std::string cause;  // why it is not ready, as last reported
    Time cause_since;
    Time next_progress;
  };

  int num_groups() const { return static_cast<int>(options_.groups.size()); }
  Child& At(Member member) { return children_[IndexOf(member, num_groups())]; }

  // One after another: what an action brings about comes behind those before it.
  void Perform(const Actions& actions) {
    actions_.insert(actions_.end(), actions.begin(), actions.end());
    if (is_performing_) return;
    is_performing_ = true;
    for (; !actions_.empty(); actions_.pop_front()) {
      const Action action = actions_.front();
      if (const auto* start = std::get_if<StartMember>(&action)) Start(start->member);
      if (const auto* to_signal = std::get_if<SignalMember>(&action)) {
        Child& child = At(to_signal->member);
        if (child.process) child.process->Signal(to_signal->signal);
      }
      if (const auto* report = std::get_if<Report>(&action)) {
        spdlog::log(report->is_error ? spdlog::level::err : spdlog::level::info, "{}",
                    report->text);
      }
      if (std::holds_alternative<Announce>(action)) {
        fputs(options_.greeting.c_str(), stdout);
        fflush(stdout);
      }
      if (const auto* finish = std::get_if<Finish>(&action)) exit_code_ = finish->exit_code;
    }
    is_performing_ = false;
  }

  void Start(Member member) {
    const MemberCommand& command = options_.commands[IndexOf(member, num_groups())];
    Child& child = At(member);
    child = Child{};
    child.next_probe = Now();
    absl::StatusOr<Process> process = Process::Start(command.argv, command.environment);
    if (process.ok()) {
      child.process = *std::move(process);
      child.has_output = true;
    } else {
      Perform(supervisor_.OnStartFailed(member, std::string(process.status().message()), Now()));
    }
  }

  // Until something happens or is due.
  void Wait() {
    std::vector<pollfd> fds = {{signals_.fd(), POLLIN, 0}};
    Time until = supervisor_.Deadline().value_or(Time::max());
    for (const Member member : members_) {
      Child& child = At(member);
      if (child.has_output) fds.push_back({child.process->output(), POLLIN, 0});
      if (child.probe) {
        fds.push_back({child.probe->fd(), child.probe->events(), 0});
        until = std::min(until, child.probe_since + kProbeLimit);
      } else if (supervisor_.IsStarting(member)) {
        until = std::min(until, child.next_probe);
      }
    }
    int timeout_ms = -1;
    if (until != Time::max()) {
      // Rounded up, or the last millisecond would be spent spinning.
      const auto left = std::chrono::ceil<Duration>(until - Now());
      timeout_ms = static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
    }
    poll(fds.data(), fds.size(), timeout_ms);
  }

  void HearSignals() {
    bool has_ended = false;
    while (const int number = signals_.Take()) {
      if (number == SIGCHLD) {
        has_ended = true;
      } else {
        Perform(supervisor_.OnSignal(number, Now()));
      }
    }
    if (!has_ended) return;
    for (const Member member : members_) {
      Child& child = At(member);
      if (!child.process) continue;
      const std::optional<Ending> ending = child.process->Reap();
      if (!ending) continue;
      RelayOutput(member);  // its last words come before the word of its end
      Relay(member.tier, child.lines.Rest());
      child.process.reset();
      child.has_output = false;
      child.probe.reset();
      Perform(supervisor_.OnEnding(member, *ending, Now()));
    }
  }

  void RelayOutput(Member member) {
    Child& child = At(member);
    char bytes[16 << 10];
    while (child.has_output) {
      const ssize_t size = read(child.process->output(), bytes, sizeof(bytes));
      if (size == 0) child.has_output = false;
      if (size <= 0) break;
      for (std::string& line : child.lines.Feed(bytes, size)) {
        Relay(member.tier, std::move(line));
      }
    }
  }

  // A line that the tier's own logger did not write (a crash's last words, a
  // library that prints) gets the tier's name, in the format of our own log.
  void Relay(Tier tier, std::string line) {
    if (line.empty()) return;
    const char* name = TierName(tier);
    if (IsLogLine(line, name)) {
      WriteLine(std::move(line));
    } else {
      spdlog::default_logger()->clone(name)->warn("{}", line);
    }
  }

  void AskForReadiness(Member member) {
    Child& child = At(member);
    if (!supervisor_.IsStarting(member)) {
      child.probe.reset();
      return;
    }
    const Time now = Now();
    if (!child.probe) {
      if (now < child.next_probe) return;
      child.probe =
          std::make_unique<Probe>(options_.commands[IndexOf(member, num_groups())].admin_port);
      child.probe_since = now;
    }
    const std::optional<Readiness> readiness = child.probe->Advance();
    if (!readiness && now - child.probe_since < kProbeLimit) return;
    child.probe.reset();
    child.next_probe = now + kProbeInterval;
    if (readiness && readiness->is_ready) {
      Perform(supervisor_.OnReady(member, now));
    } else if (member.tier == Tier::kGateway && readiness) {
      ReportProgress(child, readiness->cause, now);
    }
  }

  // The gateway's readiness is the whole's.
  void ReportProgress(Child& child, const std::string& cause, Time now) {
    if (cause.empty()) return;
    if (cause != child.cause) {
      child.cause = cause;
      child.cause_since = now;
      child.next_progress = now;
    }
    if (now < child.next_progress) return;
    child.next_progress = now + kProgressInterval;
    const auto waited = std::chrono::duration_cast<std::chrono::seconds>(now - child.cause_since);
    if (waited.count() == 0) {
      spdlog::info("waiting: {}", cause);
    } else {
      spdlog::info("waiting for {} s: {}", waited.count(), cause);
    }
  }

  const RunnerOptions& options_;
  const std::vector<Member> members_;
  Signals signals_;
  Supervisor supervisor_;
  std::vector<Child> children_;  // by member
  std::deque<Action> actions_;
  bool is_performing_ = false;
  std::optional<int> exit_code_;
};

}  // namespace

int Run(const RunnerOptions& options) { return Runner(options).Run(); }

bool IsLogLine(const std::string& line, const std::string& tier) {
  // See common/log.h: a date of 23 characters, the level, the tier.
  constexpr size_t kTierColumn = 26;
  return line.starts_with("{\"time\":\"") ||
         (line.size() > kTierColumn &&
          line.compare(kTierColumn, tier.size() + 2, tier + ": ") == 0);
}

}  // namespace weft::cli
