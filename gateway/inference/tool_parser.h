// Finds the model's calls of tools in its content, as it streams:
//
//   hermes (Qwen2.5)  <tool_call>\n{"name": "f", "arguments": {...}}\n</tool_call>
//   DeepSeek          <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n
//                     ```json\n{...}\n```<｜tool▁call▁end｜>...<｜tool▁calls▁end｜>
//
// A call's name is told as soon as it is complete, its arguments as they come: the
// model's own text, not written anew. What looks like a call and is none (no JSON, no
// such function) is given back as content. White space around calls is dropped. Text is
// held back while it may become a tag.
//
// Nothing is lost: content, and calls put back into their form, are the model's text but
// for that white space. How the text is cut into pieces makes no difference.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/inference/event.h"
#include "gateway/inference/json_members.h"

namespace weft::gateway {

struct ToolParserOptions {
  std::vector<std::string> functions;  // their names
  bool parallel = true;                // false: no call behind the first
};

class ToolParser {
 public:
  explicit ToolParser(ToolParserOptions options);

  // Appends to delta.content and delta.tool_calls.
  void Text(std::string_view text, Delta& delta);
  // The choice has ended: what is held back is content, or the end of a call.
  void Finish(Delta& delta);

  int num_calls() const { return num_calls_; }
  // Without parallel calls: the one there may be is complete.
  bool is_done() const { return !options_.parallel && num_closed_ > 0; }

 private:
  //              what has come                    next
  // kContent     an opening tag                   kHermes, kDeepSeekHead
  // kHermes      the object's end                 kClosing
  //              what is no call                  kContent, with the text given back
  // kDeepSeekHead  name and ```json               kDeepSeekArguments
  // kDeepSeekArguments  the object's end          kClosing
  // kClosing     the closing tag, or another text kContent
  enum class State { kContent, kHermes, kDeepSeekHead, kDeepSeekArguments, kClosing };

  // Each takes what it can of text_ and says whether to go on.
  bool Step(Delta& delta, bool is_last);
  bool Content(Delta& delta, bool is_last);
  bool Hermes(Delta& delta, bool is_last);
  bool DeepSeekHead(Delta& delta, bool is_last);
  bool DeepSeekArguments(Delta& delta);
  bool Closing(bool is_last);
  bool End(Delta& delta);
  // What was taken for a call's beginning is content.
  bool GiveBack(Delta& delta);

  void Say(std::string_view content, Delta& delta);
  void Begin(std::string name, Delta& delta);
  void Argue(std::string_view arguments, Delta& delta);
  bool Knows(std::string_view name) const;

  const ToolParserOptions options_;
  State state_ = State::kContent;
  std::string text_;   // not yet taken
  std::string blank_;  // white space that content may go on behind
  bool is_behind_call_ = false;
  int num_calls_ = 0;
  int num_closed_ = 0;

  // Of the call being read.
  std::string tag_;      // its opening, and the white space before
  JsonMembers members_;  // of its object: hermes' whole, DeepSeek's arguments
  bool is_deepseek_ = false;
  bool is_named_ = false;  // it has been told
  size_t num_argued_ = 0;  // bytes of its arguments that have been told
};

}  // namespace weft::gateway
