#include "cli/pull/progress.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace weft::pull {
namespace {

constexpr absl::Duration kOnTerminal = absl::Milliseconds(200);
constexpr absl::Duration kInLog = absl::Seconds(10);

}  // namespace

Progress::Progress() : is_terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (is_terminal_) std::cerr << "\r\033[K" << std::flush;
}

void Progress::Begin(int64_t num_bytes, int64_t num_present) {
  num_bytes_ = num_bytes;
  num_present_ = num_at_begin_ = num_present;
  began_ = shown_ = absl::Now();
}

void Progress::Show() {
  const absl::Time now = absl::Now();
  if (now - shown_ < (is_terminal_ ? kOnTerminal : kInLog)) return;
  shown_ = now;
  const double rate =
      static_cast<double>(num_present_ - num_at_begin_) / absl::ToDoubleSeconds(now - began_);
  std::string line = absl::StrFormat(
      "%s of %s, %d%%, %s/s", ShowBytes(num_present_), ShowBytes(num_bytes_),
      num_present_ * 100 / std::max<int64_t>(num_bytes_, 1), ShowBytes(static_cast<int64_t>(rate)));
  if (rate >= 1) {
    const auto left = static_cast<int64_t>(static_cast<double>(num_bytes_ - num_present_) / rate);
    absl::StrAppendFormat(&line, ", %d:%02d left", left / 60, left % 60);
  }
  if (is_terminal_) {
    std::cerr << '\r' << line << "\033[K" << std::flush;
  } else {
    std::cerr << line + '\n' << std::flush;
  }
}

void Progress::Say(const std::string& line) {
  std::cerr << absl::StrCat(is_terminal_ ? "\r\033[K" : "", line, "\n") << std::flush;
}

std::string ShowBytes(int64_t num_bytes) {
  const auto number = static_cast<double>(num_bytes);
  if (number < 1e3) return absl::StrCat(num_bytes, " B");
  if (number < 1e6) return absl::StrFormat("%.1f kB", number / 1e3);
  if (number < 1e9) return absl::StrFormat("%.1f MB", number / 1e6);
  return absl::StrFormat("%.2f GB", number / 1e9);
}

}  // namespace weft::pull
