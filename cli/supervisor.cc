#include "cli/supervisor.h"

#include <signal.h>
#include <string.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/check.h"

namespace weft::cli {

const char* TierName(Tier tier) {
  switch (tier) {
    case Tier::kScheduler:
      return "scheduler";
    case Tier::kWorker:
      return "worker";
    case Tier::kGateway:
      return "gateway";
  }
  WEFT_CHECK(false);
}

std::vector<Member> Members(int num_groups) {
  std::vector<Member> members;
  for (int group = 0; group < num_groups; ++group) {
    members.push_back({Tier::kScheduler, group});
    members.push_back({Tier::kWorker, group});
  }
  members.push_back(Tier::kGateway);
  return members;
}

size_t IndexOf(Member member, int num_groups) {
  if (member.tier == Tier::kGateway) return static_cast<size_t>(2 * num_groups);
  return static_cast<size_t>(2 * member.group + (member.tier == Tier::kWorker));
}

std::string Ending::Describe() const {
  if (!by_signal) return absl::StrCat("exit code ", number);
  const char* name = sigabbrev_np(number);
  return name == nullptr ? absl::StrCat("killed by signal ", number)
                         : absl::StrCat("killed by SIG", name);
}

namespace {

// As a shell would tell it; never 0.
int ExitCodeOf(const Ending& ending) {
  if (ending.by_signal) return 128 + ending.number;
  return ending.number == 0 ? 1 : ending.number;
}

}  // namespace

Supervisor::Supervisor(std::vector<std::string> groups, Duration drain_timeout)
    : groups_(std::move(groups)),
      members_(Members(num_groups())),
      drain_timeout_(drain_timeout),
      children_(members_.size()),
      workers_(groups_.size()) {}

std::string Supervisor::NameOf(Member member) const {
  if (member.tier == Tier::kGateway || num_groups() == 1) return TierName(member.tier);
  return absl::StrCat(TierName(member.tier), " of ", groups_[static_cast<size_t>(member.group)]);
}

Actions Supervisor::Begin(Time) {
  Actions actions;
  for (const Member member : members_) Start(member, actions);
  return actions;
}

Actions Supervisor::OnReady(Member member, Time now) {
  Actions actions;
  Child& child = At(member);
  if (!child.is_running || child.is_ready) return actions;
  child.is_ready = true;
  child.ready_since = now;
  if (member.tier == Tier::kWorker) WorkerOf(member.group).was_ready = true;
  if (phase_ != Phase::kUp || was_announced_) return actions;
  for (const Child& other : children_) {
    if (!other.is_ready) return actions;
  }
  was_announced_ = true;
  actions.push_back(Announce{});
  return actions;
}

Actions Supervisor::OnEnding(Member member, Ending ending, Time now) {
  Actions actions;
  if (phase_ == Phase::kOver) return actions;
  Child& child = At(member);
  WEFT_CHECK(child.is_running);
  const bool was_told = child.kill_at.has_value();
  const bool was_killed = child.kill_at == Time::max();
  const bool was_healthy = child.is_ready && now - child.ready_since >= kHealthyAfter;
  child = Child{};

  if (phase_ == Phase::kFailing) {
    FinishIfNoneRuns(actions);
    return actions;
  }
  if (was_told) {
    // SIGTERM ends a process that has not come as far as to handle it.
    const bool is_well = ending.number == (ending.by_signal ? SIGTERM : 0);
    if (!is_well && !was_killed) {
      exit_code_ = ExitCodeOf(ending);
      actions.push_back(
          Report{true, absl::StrCat(NameOf(member), " stopped: ", ending.Describe())});
    }
    ContinueDrain(now, actions);
    return actions;
  }
  const std::string cause = absl::StrCat(NameOf(member), " ended: ", ending.Describe());
  if (member.tier == Tier::kGateway && !ending.by_signal && ending.number == 0) {
    phase_ = Phase::kDraining;
    actions.push_back(Report{false, "the gateway has drained; the others stop, too"});
    ContinueDrain(now, actions);
  } else if (member.tier != Tier::kWorker) {
    Fail(cause, ExitCodeOf(ending), now, actions);
  } else if (Worker& worker = WorkerOf(member.group); !worker.was_ready) {
    // Nothing that it lacks will come by itself: its last lines say what.
    Fail(cause + " before it was ready", ExitCodeOf(ending), now, actions);
  } else {
    if (was_healthy) worker.next_pause = kFirstPause;
    PauseWorker(member.group, cause, now, actions);
  }
  return actions;
}

Actions Supervisor::OnStartFailed(Member member, const std::string& cause, Time now) {
  Actions actions;
  if (phase_ == Phase::kOver) return actions;
  At(member) = Child{};
  if (phase_ == Phase::kFailing) {
    FinishIfNoneRuns(actions);
  } else if (member.tier == Tier::kWorker && WorkerOf(member.group).was_ready) {
    PauseWorker(member.group, cause, now, actions);
  } else {
    Fail(cause, 1, now, actions);
  }
  return actions;
}

Actions Supervisor::OnSignal(int signal, Time now) {
  Actions actions;
  switch (phase_) {
    case Phase::kUp:
      phase_ = Phase::kDraining;
      actions.push_back(Report{false,
                               "draining: open streams go on to their end; "
                               "another Ctrl-C ends them now"});
      ContinueDrain(now, actions);
      break;
    case Phase::kDraining:
    case Phase::kFailing:
      for (const Member member : members_) {
        if (At(member).is_running) actions.push_back(SignalMember{member, SIGKILL});
      }
      actions.push_back(Report{true, "ended at once"});
      exit_code_ = 128 + signal;
      GiveOutFinish(actions);
      break;
    case Phase::kOver:
      break;
  }
  return actions;
}

Actions Supervisor::OnTime(Time now) {
  Actions actions;
  for (const Member member : members_) {
    Child& child = At(member);
    if (child.start_at && now >= *child.start_at) Start(member, actions);
    if (child.kill_at && now >= *child.kill_at) {
      actions.push_back(
          Report{true, absl::StrCat(NameOf(member), " did not stop in time: killed")});
      actions.push_back(SignalMember{member, SIGKILL});
      // Only the gateway has streams to cut.
      if (member.tier == Tier::kGateway && exit_code_ == 0) exit_code_ = 1;
      child.kill_at = Time::max();  // it ends now, there is nothing more to do to it
    }
  }
  return actions;
}

std::optional<Time> Supervisor::Deadline() const {
  Time earliest = Time::max();
  for (const Child& child : children_) {
    if (child.start_at) earliest = std::min(earliest, *child.start_at);
    if (child.kill_at) earliest = std::min(earliest, *child.kill_at);
  }
  if (phase_ == Phase::kOver || earliest == Time::max()) return std::nullopt;
  return earliest;
}

bool Supervisor::IsStarting(Member member) const {
  return At(member).is_running && !At(member).is_ready;
}

void Supervisor::Start(Member member, Actions& actions) {
  At(member) = Child{.is_running = true};
  actions.push_back(StartMember{member});
}

void Supervisor::Stop(Member member, Time kill_at, Actions& actions) {
  At(member).kill_at = kill_at;
  actions.push_back(SignalMember{member, SIGTERM});
}

void Supervisor::PauseWorker(int group, const std::string& cause, Time now, Actions& actions) {
  if (phase_ == Phase::kDraining && !At(Tier::kGateway).is_running) {
    ContinueDrain(now, actions);
    return;
  }
  Duration& pause = WorkerOf(group).next_pause;
  actions.push_back(Report{true, absl::StrFormat("%s; it starts again in %.1f s", cause,
                                                 static_cast<double>(pause.count()) / 1000)});
  At({Tier::kWorker, group}).start_at = now + pause;
  pause = std::min(pause * 2, kLongestPause);
}

void Supervisor::Fail(const std::string& message, int exit_code, Time now, Actions& actions) {
  phase_ = Phase::kFailing;
  exit_code_ = exit_code;
  actions.push_back(Report{true, message});
  for (const Member member : members_) {
    At(member).start_at.reset();
    if (At(member).is_running) Stop(member, now + kStopLimit, actions);
  }
  FinishIfNoneRuns(actions);
}

void Supervisor::ContinueDrain(Time now, Actions& actions) {
  for (const Tier tier : {Tier::kGateway, Tier::kWorker, Tier::kScheduler}) {
    bool one_runs = false;
    for (const Member member : members_) {
      if (member.tier != tier) continue;
      Child& child = At(member);
      if (tier != Tier::kGateway) child.start_at.reset();
      if (!child.is_running) continue;
      one_runs = true;
      if (child.kill_at) continue;
      const Duration limit = tier == Tier::kGateway ? drain_timeout_ + kDrainSlack : kStopLimit;
      Stop(member, now + limit, actions);
    }
    if (one_runs) return;
  }
  GiveOutFinish(actions);
}

void Supervisor::FinishIfNoneRuns(Actions& actions) {
  for (const Child& child : children_) {
    if (child.is_running) return;
  }
  GiveOutFinish(actions);
}

void Supervisor::GiveOutFinish(Actions& actions) {
  phase_ = Phase::kOver;
  actions.push_back(Finish{exit_code_});
}

}  // namespace weft::cli
