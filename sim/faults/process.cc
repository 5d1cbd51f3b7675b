#include "sim/faults/process.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"

namespace weft::sim {
namespace {

// A mailbox's reader wakes up, and takes what has come by then.
constexpr int kMaxWakeUp = 50;

}  // namespace

std::optional<int> NumberOf(const std::string& address) {
  int number = 0;
  if (!absl::SimpleAtoi(address, &number)) return std::nullopt;
  return number;
}

void Process::Post(std::function<void()> task) {
  if (is_dead_) return;
  if (is_stopped_) {
    backlog_.push_back(std::move(task));
    return;
  }
  task();
  if (!is_dead_) TurnAt(now() + env_.random.Between(0, kMaxWakeUp));
}

void Process::TurnAt(Micros at) {
  if (is_dead_ || at >= turn_at_) return;
  turn_at_ = at;
  env_.clock.At(at, [this, at] {
    if (is_dead_ || turn_at_ != at) return;  // an earlier one came between
    turn_at_ = core::kNever;
    if (is_stopped_) return;  // Resume sees to it
    Turn();
  });
}

void Process::Stop(Micros duration, std::function<void()> on_resume) {
  if (is_dead_ || is_stopped_) return;
  is_stopped_ = true;
  env_.clock.After(duration, [this, on_resume = std::move(on_resume)] {
    if (is_dead_) return;
    is_stopped_ = false;
    if (on_resume) on_resume();
    Resume();
  });
}

void Process::Jump(Micros time) {
  jumped_ += time;
  TurnAt(now() + 1);
}

void Process::Resume() {
  std::deque<std::function<void()>> tasks = std::exchange(backlog_, {});
  for (auto& task : tasks) {
    if (is_dead_) return;
    task();
  }
  TurnAt(now() + 1);
}

}  // namespace weft::sim
