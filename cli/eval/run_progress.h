// How far a run is: one line that is written over on a terminal, nothing in a pipe.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "cli/eval/transcript.h"

namespace weft::eval {

class RunProgress {
 public:
  explicit RunProgress(int64_t num_tasks);
  ~RunProgress();  // wipes its line

  void Count(const Transcript& transcript);  // one at a time
  // Of an earlier run: no part of the pace.
  void CountEarlier(const Transcript& transcript);

 private:
  void Add(const Transcript& transcript);

  const bool is_terminal_;
  const int64_t num_tasks_;
  const absl::Time began_;
  int64_t num_done_ = 0, num_right_ = 0, num_truncated_ = 0, num_new_ = 0;
  absl::Time shown_ = absl::InfinitePast();
};

}  // namespace weft::eval
