// The one clock of a simulated world. Nothing happens but what somebody put on
// it; what is due at the same time happens in the order in which it was put.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace weft::sim {

class Clock {
 public:
  int64_t now_us() const { return now_us_; }

  void At(int64_t time_us, std::function<void()> action) {
    events_.push({time_us < now_us_ ? now_us_ : time_us, ++last_order_, std::move(action)});
  }
  void After(int64_t delay_us, std::function<void()> action) {
    At(now_us_ + delay_us, std::move(action));
  }

  // Goes to what is due next and does it. False: nothing is due, ever.
  bool RunNext() {
    if (events_.empty()) return false;
    Event event = events_.top();
    events_.pop();
    now_us_ = event.time_us;
    event.action();
    return true;
  }

 private:
  struct Event {
    int64_t time_us;
    uint64_t order;
    std::function<void()> action;

    bool operator<(const Event& other) const {  // the queue's top is its largest
      return std::pair(time_us, order) > std::pair(other.time_us, other.order);
    }
  };
  std::priority_queue<Event> events_;
  int64_t now_us_ = 0;
  uint64_t last_order_ = 0;
};

}  // namespace weft::sim
