#include "cli/bench/progress.h"

#include <unistd.h>

#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace weft::bench {

std::string ProgressLine(const std::string& name, int num_requests, const LoadProgress& before,
                         const LoadProgress& now) {
  const double elapsed_s = now.elapsed_s - before.elapsed_s;
  const auto num_events = static_cast<double>(now.num_text_events - before.num_text_events);
  return absl::StrFormat("%s%.0f s, %d of %d requests over, %d open, %.0f events/s",
                         name.empty() ? "" : name + ": ", now.elapsed_s, now.num_ended,
                         num_requests, now.num_open, elapsed_s > 0 ? num_events / elapsed_s : 0);
}

Progress::Progress(std::string name, int num_requests)
    : name_(std::move(name)),
      num_requests_(num_requests),
      is_terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (is_terminal_) std::cerr << "\r\033[K" << std::flush;
}

void Progress::Show(const LoadProgress& progress) {
  if (is_terminal_) {
    std::cerr << "\r" << ProgressLine(name_, num_requests_, last_, progress) << "\033[K"
              << std::flush;
  }
  last_ = progress;
}

}  // namespace weft::bench
