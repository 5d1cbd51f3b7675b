// How far a run is, in one line that is written over. On a terminal only.
#pragma once

#include <string>

#include "cli/bench/load.h"

namespace weft::bench {

class Progress {
 public:
  // `name` tells runs of a sweep apart; it may be empty.
  Progress(std::string name, int num_requests);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Show(const LoadProgress& progress);

 private:
  const std::string name_;
  const int num_requests_;
  const bool is_terminal_;
  LoadProgress last_;
};

// Such as "rate 8: 12 s, 96 of 400 requests over, 14 open, 2100 events/s".
std::string ProgressLine(const std::string& name, int num_requests, const LoadProgress& before,
                         const LoadProgress& now);

}  // namespace weft::bench
