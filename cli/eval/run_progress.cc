#include "cli/eval/run_progress.h"

#include <unistd.h>

#include <cstdio>

#include "absl/time/clock.h"

namespace weft::eval {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(200);
constexpr char kWipe[] = "\r\033[K";

}  // namespace

RunProgress::RunProgress(int64_t num_tasks)
    : is_terminal_(isatty(STDERR_FILENO) == 1), num_tasks_(num_tasks), began_(absl::Now()) {}

RunProgress::~RunProgress() {
  if (is_terminal_) std::fputs(kWipe, stderr);
}

void RunProgress::Add(const Transcript& transcript) {
  ++num_done_;
  num_right_ += transcript.outcome == Outcome::kRight;
  num_truncated_ += transcript.outcome == Outcome::kTruncated;
}

void RunProgress::CountEarlier(const Transcript& transcript) { Add(transcript); }

void RunProgress::Count(const Transcript& transcript) {
  Add(transcript);
  ++num_new_;
  const absl::Time now = absl::Now();
  if (!is_terminal_ || now < shown_ + kInterval) return;
  shown_ = now;
  const absl::Duration left =
      (now - began_) * static_cast<double>(num_tasks_ - num_done_) / static_cast<double>(num_new_);
  std::fprintf(stderr, "%s%lld of %lld, %.1f%% right, %lld truncated, %s left", kWipe,
               static_cast<long long>(num_done_), static_cast<long long>(num_tasks_),
               100.0 * static_cast<double>(num_right_) / static_cast<double>(num_done_),
               static_cast<long long>(num_truncated_),
               absl::FormatDuration(absl::Trunc(left, absl::Seconds(1))).c_str());
}

}  // namespace weft::eval
