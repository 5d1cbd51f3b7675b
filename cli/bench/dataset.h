// Prompts that people wrote: a file of JSON lines, or one JSON list of such objects.
//
//   {"prompt": "..."}, {"question": "..."} or {"problem": "..."}  one question
//   {"messages": [{"role": "user", "content": "..."}]}  a conversation
//   {"conversations": [{"from": "human", "value": "..."}]}  likewise, as ShareGPT has it
//
// A conversation is sent up to its last question: the answer that may follow is the server's to
// give. `output_tokens` is how long the answer may become, if it is there. Other fields, such as
// a dataset's own answers, are ignored.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace weft::bench {

class Dataset {
 public:
  struct Entry {
    std::string prompt;         // a JSON string; empty: the conversation has several messages
    std::string messages;       // JSON objects, with commas between
    int num_output_tokens = 0;  // 0: not said
  };

  Dataset() = default;
  // Errors begin with "<source> line <n>: ", in a list "<source> entry <n>: ".
  static absl::StatusOr<Dataset> Parse(const std::string& source, const std::string& text);

  bool empty() const { return entries_.empty(); }
  int size() const { return static_cast<int>(entries_.size()); }
  // In the file's order; from its beginning again after its end. `index` may be negative.
  const Entry& at(int64_t index) const;
  // "line <n>" or "entry <n>" of the first that is no single prompt; empty: there is none.
  const std::string& FirstConversation() const { return first_conversation_; }

 private:
  std::vector<Entry> entries_;
  std::string first_conversation_;
};

}  // namespace weft::bench
