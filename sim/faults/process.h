// The processes of a simulated world: each has the real logic of its tier inside, and
// around it what here stands for a process and its thread. A stopped one (SIGSTOP) finds
// everything that came meanwhile when it goes on.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "scheduler/core/events.h"
#include "sim/faults/link.h"
#include "weft/v1/scheduler.pb.h"
#include "weft/v1/worker.pb.h"

namespace weft::sim {

using core::Micros;
using GatewayLink = Link<v1::GatewayFrame, v1::SchedulerFrame>;
using WorkerLink = Link<v1::WorkerFrame, v1::WorkerCommand>;

// The simulation's names of schedulers are their numbers.
std::optional<int> NumberOf(const std::string& address);

// What all of a world's processes share.
struct Environment {
  Clock& clock;
  Random& random;
  std::function<void(bool condition, const std::string& rule)> require;
  // A stream to the scheduler with that number, or to where there is none.
  std::function<void(int scheduler, std::shared_ptr<GatewayLink>)> dial_gateway;
  std::function<void(int scheduler, std::shared_ptr<WorkerLink>)> dial_worker;
};

// One thread that takes what happens to it in order.
class Process {
 public:
  explicit Process(Environment& environment) : env_(environment) {}
  virtual ~Process() = default;

  bool is_dead() const { return is_dead_; }
  bool is_stopped() const { return is_stopped_; }
  // For as long; then `on_resume`, before anything that has come meanwhile.
  void Stop(Micros duration, std::function<void()> on_resume = nullptr);
  // Its clock goes forward at once, as when its machine was suspended.
  void Jump(Micros time);

 protected:
  // Now, or once it goes on; never if it has died.
  void Post(std::function<void()> task);
  // Behind a number of tasks.
  virtual void Turn() = 0;
  void TurnAt(Micros at);
  void TurnAtOwn(Micros at) { TurnAt(std::max(at - jumped_, now() + 1)); }  // kNever: not by itself
  void Die() { is_dead_ = true; }
  Micros now() const { return env_.clock.now_us(); }
  Micros own_now() const { return now() + jumped_; }  // on its clock

  Environment& env_;

 private:
  void Resume();

  bool is_dead_ = false;
  bool is_stopped_ = false;
  std::deque<std::function<void()>> backlog_;
  Micros turn_at_ = core::kNever;
  Micros jumped_ = 0;
};

}  // namespace weft::sim
