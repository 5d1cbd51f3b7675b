// When which of the three processes starts, stops and starts again. No I/O and no
// clock: events and the time go in, actions come out, in the order to do them.
//
//   up        all three run. A worker that dies is started again, after a pause; a
//             gateway or scheduler that dies, or a worker that has never become
//             ready, ends the whole.
//   draining  a signal came, or the gateway was told to drain through its admin
//             port: the gateway ends its streams, then the worker stops, then the
//             scheduler. A worker that dies while streams are still open
//             is started again.
//   failing   one is dead for good: the others are stopped.
//   over      Finish has been given out; no event matters any more.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace weft::cli {

using Time = std::chrono::steady_clock::time_point;
using Duration = std::chrono::milliseconds;

// In the order in which they start.
enum class Tier { kScheduler, kWorker, kGateway };
inline constexpr std::array kTiers = {Tier::kScheduler, Tier::kWorker, Tier::kGateway};
const char* TierName(Tier tier);

// How a process ended.
struct Ending {
  bool by_signal = false;
  int number = 0;  // the signal's, or the exit code

  std::string Describe() const;  // "killed by SIGKILL", "exit code 3"
};

struct StartTier {
  Tier tier;
};
struct SignalTier {
  Tier tier;
  int signal;
};
// All three are ready, for the first time.
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
using Action = std::variant<StartTier, SignalTier, Announce, Report, Finish>;
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
  explicit Supervisor(Duration drain_timeout) : drain_timeout_(drain_timeout) {}

  Actions Begin(Time now);
  // The tier's /readyz has said yes. Once per start is enough, more do no harm.
  Actions OnReady(Tier tier, Time now);
  Actions OnEnding(Tier tier, Ending ending, Time now);
  // A start failed before there was a process.
  Actions OnStartFailed(Tier tier, const std::string& cause, Time now);
  // SIGINT or SIGTERM. The second one kills everything at once.
  Actions OnSignal(int signal, Time now);
  // A deadline may have passed.
  Actions OnTime(Time now);

  // When OnTime has something to do; nullopt: only events matter.
  std::optional<Time> Deadline() const;
  // Started, running and not known to be ready.
  bool IsStarting(Tier tier) const;

 private:
  enum class Phase { kUp, kDraining, kFailing, kOver };
  struct Child {
    bool is_running = false;
    bool is_ready = false;
    Time ready_since;
    std::optional<Time> start_at;  // a pause is on
    std::optional<Time> kill_at;   // it was told to stop; max: and was killed
  };

  Child& At(Tier tier) { return children_[static_cast<size_t>(tier)]; }
  const Child& At(Tier tier) const { return children_[static_cast<size_t>(tier)]; }

  void Start(Tier tier, Actions& actions);
  void Stop(Tier tier, Time kill_at, Actions& actions);
  void PauseWorker(const std::string& cause, Time now, Actions& actions);
  void Fail(const std::string& message, int exit_code, Time now, Actions& actions);
  // Draining: tells the next one to stop, or finishes.
  void ContinueDrain(Time now, Actions& actions);
  void FinishIfNoneRuns(Actions& actions);
  void GiveOutFinish(Actions& actions);

  const Duration drain_timeout_;
  Phase phase_ = Phase::kUp;
  int exit_code_ = 0;
  std::array<Child, kTiers.size()> children_;
  Duration next_pause_ = kFirstPause;
  bool worker_was_ready_ = false;
  bool was_announced_ = false;
};

}  // namespace weft::cli
