// Where the members of a JSON object lie in a text that is still being written. Only the
// outermost object is looked into; of what is nested, brackets are matched and strings
// respected, no more.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weft::gateway {

class JsonMembers {
 public:
  enum class Status { kOpen, kComplete, kBroken };

  struct Member {
    size_t key_begin = 0;  // of its string, quotes included
    size_t key_end = 0;
    size_t begin = 0;                     // of its value
    size_t end = std::string_view::npos;  // npos: not complete yet
  };

  // Goes on where the last call stopped; `text` begins with what the last one had.
  Status Scan(std::string_view text);

  const std::vector<Member>& members() const { return members_; }
  // So much of the text is the object's: up to behind its end, or what broke it.
  size_t size() const { return at_; }

 private:
  enum class State {
    kBefore,
    kFirstKey,
    kKey,
    kInKey,
    kColon,
    kValue,
    kInString,
    kInNested,
    kInScalar,
    kBehindValue,
    kComplete,
    kBroken,
  };

  State Next(char c);
  bool EndsString(char c);  // of the characters behind its opening quote
  State BeginValue(char c);
  State Nested(char c);
  State BehindValue(char c);

  State state_ = State::kBefore;
  size_t at_ = 0;
  bool is_escaped_ = false;
  bool in_nested_string_ = false;
  std::string closers_;  // of nested brackets, outermost first
  std::vector<Member> members_;
};

}  // namespace weft::gateway
