// Where a conversation is held: lines in, text out as it comes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/chat/answer_reader.h"
#include "cli/interrupts.h"

namespace weft::chat {

class Terminal {
 public:
  explicit Terminal(cli::Interrupts& interrupts);

  // The next line, without its end; nullopt: there is none any more, or SIGTERM has come. Ctrl-C
  // drops what was typed. The prompt stands only where somebody types.
  std::optional<std::string> ReadLine();

  // A piece of an answer. Reasoning is dim on a terminal, and left out of files and pipes.
  void Write(Part part, std::string_view text);
  void EndAnswer();

 private:
  cli::Interrupts& interrupts_;
  const bool reads_terminal_;
  const bool writes_terminal_;
  std::string typed_;  // behind the last line
  bool is_dim_ = false;
  bool is_in_line_ = false;  // the last character was no line's end
};

// Without what a terminal would obey rather than show.
std::string Shown(std::string_view text);

}  // namespace weft::chat
