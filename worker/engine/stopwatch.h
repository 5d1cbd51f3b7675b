// How long the parts of something take.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

namespace weft::worker {

class Stopwatch {
 public:
  // Since construction or the last lap.
  int64_t LapMicros() {
    return std::chrono::duration_cast<std::chrono::microseconds>(Lap()).count();
  }
  double LapSeconds() { return std::chrono::duration<double>(Lap()).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::duration Lap() {
    const Clock::time_point now = Clock::now();
    return now - std::exchange(started_, now);
  }
  Clock::time_point started_ = Clock::now();
};

}  // namespace weft::worker
