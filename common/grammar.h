// What an answer must look like. The gateway compiles it first, so that the client hears
// what is wrong with it; the scheduler hands it on; the worker compiles it again and
// masks, before each sample, every token that would break it (text/grammar.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace weft {

// Far more than any schema that people write; it bounds what compiling may take.
inline constexpr size_t kMaxGrammarBytes = 64 << 10;

struct Grammar {
  enum class Kind {
    kJsonObject,  // any object; no text
    kJsonSchema,  // the schema
    kRegex,       // Rust's syntax, of the whole answer
    kChoice,      // a JSON array of strings: the answer is one of them
    kGrammar,     // Lark as llguidance has it, or GBNF
  };
  Kind kind = Kind::kJsonObject;
  std::string text;
  // The answer begins behind this token, which closes the reasoning: until then the
  // model says what it likes, but does not end. Absent: it begins at once.
  std::optional<int32_t> after_token;

  bool operator==(const Grammar&) const = default;
};

}  // namespace weft
