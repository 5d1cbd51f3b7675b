#include "cli/chat/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <iostream>

#include "absl/strings/ascii.h"

namespace weft::chat {
namespace {

constexpr char kPrompt[] = "> ";
constexpr char kDim[] = "\033[2m";
constexpr char kPlain[] = "\033[0m";
// A signal may come just before poll: it is looked at that often.
constexpr int kPollMs = 200;

}  // namespace

Terminal::Terminal(cli::Interrupts& interrupts)
    : interrupts_(interrupts),
      reads_terminal_(isatty(STDIN_FILENO) == 1),
      writes_terminal_(isatty(STDOUT_FILENO) == 1) {}

std::optional<std::string> Terminal::ReadLine() {
  const auto prompt = [&] {
    if (reads_terminal_) std::cout << kPrompt << std::flush;
  };
  prompt();
  while (true) {
    if (const size_t end = typed_.find('\n'); end != std::string::npos) {
      std::string line = typed_.substr(0, end);
      typed_.erase(0, end + 1);
      return line;
    }
    if (interrupts_.signal() == SIGTERM) return std::nullopt;
    if (interrupts_.signal() == SIGINT) {
      if (!reads_terminal_) return std::nullopt;
      interrupts_.Clear();
      typed_.clear();
      std::cout << "\n(Ctrl-D or /quit ends)\n";
      prompt();
    }
    pollfd input = {STDIN_FILENO, POLLIN, 0};
    if (poll(&input, 1, kPollMs) <= 0) continue;
    char bytes[4096];
    const ssize_t size = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size > 0) {
      typed_.append(bytes, size);
    } else if (!typed_.empty()) {
      typed_ += '\n';  // the last line has no end
    } else {
      if (reads_terminal_) std::cout << '\n';
      return std::nullopt;
    }
  }
}

void Terminal::Write(Part part, std::string_view text) {
  const bool is_reasoning = part == Part::kReasoning;
  if (is_reasoning && !writes_terminal_) return;
  if (is_reasoning != is_dim_) {
    // The answer begins below the reasoning.
    std::cout << (is_reasoning ? kDim : kPlain) << (is_in_line_ ? "\n" : "");
    if (!is_reasoning) std::cout << '\n';
    is_dim_ = is_reasoning;
  }
  const std::string shown = writes_terminal_ ? Shown(text) : std::string(text);
  std::cout << shown << std::flush;
  if (!shown.empty()) is_in_line_ = shown.back() != '\n';
}

void Terminal::EndAnswer() {
  if (is_dim_) std::cout << kPlain;
  if (is_in_line_) std::cout << '\n';
  std::cout << std::flush;
  is_dim_ = is_in_line_ = false;
}

std::string Shown(std::string_view text) {
  std::string shown;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are controls, too.
    if (byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
      ++i;
      continue;
    }
    if (absl::ascii_iscntrl(byte) && byte != '\n' && byte != '\t') continue;
    shown += text[i];
  }
  return shown;
}

}  // namespace weft::chat
