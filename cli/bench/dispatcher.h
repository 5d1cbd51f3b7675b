// Who sends which request, and when. A slot sends one request at a time; there are
// as many slots as requests may be open at once, or fewer while fewer are needed.
//
// Requests are given out in the order of their arrival. A slot that has taken one
// waits for its time, so requests that find every slot busy are sent later, as they
// would be behind a semaphore: request i goes out at max(its arrival, the moment a
// slot is free).
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace weft::bench {

using Clock = std::chrono::steady_clock;

// Thread-safe.
class Dispatcher {
 public:
  struct Ticket {
    int index;
    Clock::time_point due;
  };

  // `arrivals`: seconds after `start`, ascending. max_concurrency 0: no limit.
  Dispatcher(std::vector<double> arrivals, int max_concurrency, Clock::time_point start);

  // How many slots to begin with; the caller makes them.
  int num_first_slots() const { return num_first_slots_; }

  // For a slot that is free. nullopt: there is nothing left, the slot is over.
  std::optional<Ticket> Take();
  // The ticket's request goes out. True: nobody is left who waits for the next
  // arrival, and the caller makes one more slot.
  [[nodiscard]] bool Begin();
  // It has ended, well or not.
  void End();

  // Every slot is over.
  bool is_over() const;
  int num_ended() const;
  int num_open() const;
  int peak_concurrency() const;

 private:
  const std::vector<double> arrivals_;
  const int max_slots_;
  const Clock::time_point start_;
  int num_first_slots_ = 1;

  mutable std::mutex mutex_;  // all below
  size_t next_ = 0;
  int num_slots_ = 0;  // that are not over
  int num_open_ = 0;
  int num_ended_ = 0;
  int peak_ = 0;
};

}  // namespace weft::bench
