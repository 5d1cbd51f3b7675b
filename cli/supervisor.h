// When which process starts, stops and starts again: a gateway, and for each model (a group)
// a scheduler and a worker. No I/O and no clock: events and the time go in, actions come out,
// in the order to do them.
//
//   up        all run. A worker that dies is started again, after a pause; a
//             gateway or scheduler that dies, or a worker that has never become
//             ready, ends the whole.
//   draining  a signal came, or the gateway was told to drain through its admin
//             port: the gateway ends its streams, then the workers stop, then the
//             schedulers. A worker that dies while streams are still open
//             is started again.
//   failing   one is dead for good: the others are stopped.
//   over      Finish has been given out; no event matters any more.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace weft::cli {

using Time = std::chrono::steady_clock::time_point;
using Duration = std::chrono::milliseconds;

enum class Tier { kScheduler, kWorker, kGateway };
const char* TierName(Tier tier);

// One of the processes.
struct Member {
  Member(Tier tier, int group = 0) : tier(tier), group(group) {}  // NOLINT: a tier of the first
  Tier tier;
  int group;  // 0 for the gateway, which all have in common
};
// All, in the order in which they start.
std::vector<Member> Members(int num_groups);
// Its place among Members.
size_t IndexOf(Member member, int num_groups);

// How a process ended.
struct Ending {
  bool by_signal = false;
  int number = 0;  // the signal's, or the exit code

  std::string Describe() const;  // "killed by SIGKILL", "exit code 3"
};

struct StartMember {
  Member member;
};
struct SignalMember {
  Member member;
  int signal;
};
// All are ready, for the first time.
struct Announce {};
// A line for the log.
struct Report {
  bool is_error;
  std::string text;
};
// Nothing runs any more: leave with this code.
struct Finish {
  int exit_code;
};
using Action = std::variant<StartMember, SignalMember, Announce, Report, Finish>;
using Actions = std::vector<Action>;

// The pause before a dead worker starts again: from kFirst, twice as long each
// time, up to kLongest; from kFirst again once it has been ready for kHealthyAfter.
inline constexpr Duration kFirstPause{200};
inline constexpr Duration kLongestPause{10'000};
inline constexpr Duration kHealthyAfter{10'000};
// What worker and scheduler may take to stop: no stream is left that needs them.
inline constexpr Duration kStopLimit{5'000};
// The gateway bounds its drain itself; this much later it is held for stuck.
inline constexpr Duration kDrainSlack{5'000};

class Supervisor {
 public:
  // `groups` are the models' names, as they are called in reports.
  Supervisor(std::vector<std::string> groups, Duration drain_timeout);

  Actions Begin(Time now);
  // The member's /readyz has said yes. Once per start is enough, more do no harm.
  Actions OnReady(Member member, Time now);
  Actions OnEnding(Member member, Ending ending, Time now);
  // A start failed before there was a process.
  Actions OnStartFailed(Member member, const std::string& cause, Time now);
  // SIGINT or SIGTERM. The second one kills everything at once.
  Actions OnSignal(int signal, Time now);
  // A deadline may have passed.
  Actions OnTime(Time now);

  // When OnTime has something to do; nullopt: only events matter.
  std::optional<Time> Deadline() const;
  // Started, running and not known to be ready.
  bool IsStarting(Member member) const;

 private:
  enum class Phase { kUp, kDraining, kFailing, kOver };
  struct Child {
    bool is_running = false;
    bool is_ready = false;
    Time ready_since;
    std::optional<Time> start_at;  // a pause is on
    std::optional<Time> kill_at;   // it was told to stop; max: and was killed
  };

  // What of a worker outlives its process.
  struct Worker {
    bool was_ready = false;
    Duration next_pause = kFirstPause;
  };

  int num_groups() const { return static_cast<int>(groups_.size()); }
  Child& At(Member member) { return children_[IndexOf(member, num_groups())]; }
  const Child& At(Member member) const { return children_[IndexOf(member, num_groups())]; }
  Worker& WorkerOf(int group) { return workers_[static_cast<size_t>(group)]; }
  std::string NameOf(Member member) const;

  void Start(Member member, Actions& actions);
  void Stop(Member member, Time kill_at, Actions& actions);
  void PauseWorker(int group, const std::string& cause, Time now, Actions& actions);
  void Fail(const std::string& message, int exit_code, Time now, Actions& actions);
  // Draining: tells the next one to stop, or finishes.
  void ContinueDrain(Time now, Actions& actions);
  void FinishIfNoneRuns(Actions& actions);
  void GiveOutFinish(Actions& actions);

  const std::vector<std::string> groups_;
  const std::vector<Member> members_;
  const Duration drain_timeout_;
  Phase phase_ = Phase::kUp;
  int exit_code_ = 0;
  std::vector<Child> children_;  // by member
  std::vector<Worker> workers_;  // by group
  bool was_announced_ = false;
};

}  // namespace weft::cli
