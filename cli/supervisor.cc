#include "cli/supervisor.h"

#include <signal.h>
#include <string.h>

#include <algorithm>

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

Actions Supervisor::Begin(Time) {
  Actions actions;
  for (Tier tier : kTiers) Start(tier, actions);
  return actions;
}

Actions Supervisor::OnReady(Tier tier, Time now) {
  Actions actions;
  Child& child = At(tier);
  if (!child.is_running || child.is_ready) return actions;
  child.is_ready = true;
  child.ready_since = now;
  if (tier == Tier::kWorker) worker_was_ready_ = true;
  if (phase_ != Phase::kUp || was_announced_) return actions;
  for (const Child& other : children_) {
    if (!other.is_ready) return actions;
  }
  was_announced_ = true;
  actions.push_back(Announce{});
  return actions;
}

Actions Supervisor::OnEnding(Tier tier, Ending ending, Time now) {
  Actions actions;
  if (phase_ == Phase::kOver) return actions;
  Child& child = At(tier);
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
          Report{true, absl::StrCat(TierName(tier), " stopped: ", ending.Describe())});
    }
    ContinueDrain(now, actions);
    return actions;
  }
  const std::string cause = absl::StrCat(TierName(tier), " ended: ", ending.Describe());
  if (tier == Tier::kGateway && !ending.by_signal && ending.number == 0) {
    phase_ = Phase::kDraining;
    actions.push_back(Report{false, "the gateway has drained; the others stop, too"});
    ContinueDrain(now, actions);
  } else if (tier != Tier::kWorker) {
    Fail(cause, ExitCodeOf(ending), now, actions);
  } else if (!worker_was_ready_) {
    // Nothing that it lacks will come by itself: its last lines say what.
    Fail(cause + " before it was ready", ExitCodeOf(ending), now, actions);
  } else {
    if (was_healthy) next_pause_ = kFirstPause;
    PauseWorker(cause, now, actions);
  }
  return actions;
}

Actions Supervisor::OnStartFailed(Tier tier, const std::string& cause, Time now) {
  Actions actions;
  if (phase_ == Phase::kOver) return actions;
  At(tier) = Child{};
  if (phase_ == Phase::kFailing) {
    FinishIfNoneRuns(actions);
  } else if (tier == Tier::kWorker && worker_was_ready_) {
    PauseWorker(cause, now, actions);
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
      for (Tier tier : kTiers) {
        if (At(tier).is_running) actions.push_back(SignalTier{tier, SIGKILL});
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
  for (Tier tier : kTiers) {
    Child& child = At(tier);
    if (child.start_at && now >= *child.start_at) Start(tier, actions);
    if (child.kill_at && now >= *child.kill_at) {
      actions.push_back(
          Report{true, absl::StrCat(TierName(tier), " did not stop in time: killed")});
      actions.push_back(SignalTier{tier, SIGKILL});
      // Only the gateway has streams to cut.
      if (tier == Tier::kGateway && exit_code_ == 0) exit_code_ = 1;
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

bool Supervisor::IsStarting(Tier tier) const { return At(tier).is_running && !At(tier).is_ready; }

void Supervisor::Start(Tier tier, Actions& actions) {
  At(tier) = Child{.is_running = true};
  actions.push_back(StartTier{tier});
}

void Supervisor::Stop(Tier tier, Time kill_at, Actions& actions) {
  At(tier).kill_at = kill_at;
  actions.push_back(SignalTier{tier, SIGTERM});
}

void Supervisor::PauseWorker(const std::string& cause, Time now, Actions& actions) {
  if (phase_ == Phase::kDraining && !At(Tier::kGateway).is_running) {
    ContinueDrain(now, actions);
    return;
  }
  actions.push_back(Report{true, absl::StrFormat("%s; it starts again in %.1f s", cause,
                                                 static_cast<double>(next_pause_.count()) / 1000)});
  At(Tier::kWorker).start_at = now + next_pause_;
  next_pause_ = std::min(next_pause_ * 2, kLongestPause);
}

void Supervisor::Fail(const std::string& message, int exit_code, Time now, Actions& actions) {
  phase_ = Phase::kFailing;
  exit_code_ = exit_code;
  actions.push_back(Report{true, message});
  for (Tier tier : kTiers) {
    At(tier).start_at.reset();
    if (At(tier).is_running) Stop(tier, now + kStopLimit, actions);
  }
  FinishIfNoneRuns(actions);
}

void Supervisor::ContinueDrain(Time now, Actions& actions) {
  for (Tier tier : {Tier::kGateway, Tier::kWorker, Tier::kScheduler}) {
    Child& child = At(tier);
    if (tier != Tier::kGateway) child.start_at.reset();
    if (!child.is_running) continue;
    if (!child.kill_at) {
      const Duration limit = tier == Tier::kGateway ? drain_timeout_ + kDrainSlack : kStopLimit;
      Stop(tier, now + limit, actions);
    }
    return;
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
