// How far a download is, for whoever watches: one line that is written over on a terminal, a line
// now and then where there is none.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace weft::pull {

class Progress {
 public:
  Progress();
  ~Progress();  // wipes its line

  // `num_present` of the bytes need not come.
  void Begin(int64_t num_bytes, int64_t num_present);
  void Set(int64_t num_present) { num_present_ = num_present; }
  // When it is due.
  void Show();
  // A line that stays.
  void Say(const std::string& line);

 private:
  const bool is_terminal_;
  int64_t num_bytes_ = 0;
  int64_t num_present_ = 0;
  int64_t num_at_begin_ = 0;
  absl::Time began_, shown_;
};

// "1.25 GB"
std::string ShowBytes(int64_t num_bytes);

}  // namespace weft::pull
