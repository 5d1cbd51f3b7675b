#include "cli/bench/dispatcher.h"

#include <algorithm>
#include <utility>

#include "common/check.h"

namespace weft::bench {

Dispatcher::Dispatcher(std::vector<double> arrivals, int max_concurrency, Clock::time_point start)
    : arrivals_(std::move(arrivals)),
      max_slots_(static_cast<int>(max_concurrency == 0
                                      ? arrivals_.size()
                                      : std::min<size_t>(max_concurrency, arrivals_.size()))),
      start_(start) {
  WEFT_CHECK(!arrivals_.empty());
  // Those that are due at the start need not call one another into being.
  const auto due = std::upper_bound(arrivals_.begin(), arrivals_.end(), 0.0) - arrivals_.begin();
  num_first_slots_ = std::clamp(static_cast<int>(due), 1, max_slots_);
  num_slots_ = num_first_slots_;
}

std::optional<Dispatcher::Ticket> Dispatcher::Take() {
  std::lock_guard lock(mutex_);
  if (next_ == arrivals_.size()) {
    --num_slots_;
    return std::nullopt;
  }
  const auto due = std::chrono::duration<double>(arrivals_[next_]);
  return Ticket{.index = static_cast<int>(next_++),
                .due = start_ + std::chrono::duration_cast<Clock::duration>(due)};
}

bool Dispatcher::Begin() {
  std::lock_guard lock(mutex_);
  peak_ = std::max(peak_, ++num_open_);
  // Slots that were made and have not taken yet count as waiting too.
  const bool somebody_waits = num_slots_ > num_open_;
  if (somebody_waits || next_ == arrivals_.size() || num_slots_ == max_slots_) return false;
  ++num_slots_;
  return true;
}

void Dispatcher::End() {
  std::lock_guard lock(mutex_);
  --num_open_;
  ++num_ended_;
}

bool Dispatcher::is_over() const {
  std::lock_guard lock(mutex_);
  return num_slots_ == 0;
}

int Dispatcher::num_ended() const {
  std::lock_guard lock(mutex_);
  return num_ended_;
}

int Dispatcher::num_open() const {
  std::lock_guard lock(mutex_);
  return num_open_;
}

int Dispatcher::peak_concurrency() const {
  std::lock_guard lock(mutex_);
  return peak_;
}

}  // namespace weft::bench
