#include "gateway/inference/tool_grammar.h"

#include "absl/strings/str_cat.h"

namespace weft::gateway {
namespace {

// Between two tokens of JSON, as of every other answer in JSON.
constexpr char kOptions[] =
    R"("x-guidance":{"whitespace_pattern":"\\x20|\\x0A[\\x20\\x09]{0,20}"})";

// The schema with our options as its first member; it is an object's text.
std::string WithOptions(const std::string& schema) {
  if (schema.empty()) return absl::StrCat("{", kOptions, R"(,"type":"object"})");
  const size_t begin = schema.find('{') + 1;
  const size_t first = schema.find_first_not_of(" \t\r\n", begin);
  const bool is_empty = first == schema.npos || schema[first] == '}';
  return absl::StrCat("{", kOptions, is_empty ? "" : ",", schema.substr(begin));
}

}  // namespace

Grammar ToolGrammar(const ToolOptions& options) {
  std::string functions, rules;
  int num_functions = 0;
  for (const Tool& tool : options.tools) {
    if (options.choice == ToolChoice::kNamed && tool.name != options.name) continue;
    const int i = num_functions++;
    absl::StrAppend(&functions, i > 0 ? " | " : "", "function_", i);
    absl::StrAppend(&rules, "function_", i, R"(: "{\"name\": \")", tool.name,
                    R"(\", \"arguments\": " arguments_)", i, " \"}\"\narguments_", i, ": %json ",
                    WithOptions(tool.parameters), "\n");
  }
  const bool several = options.choice == ToolChoice::kRequired && options.parallel;
  return {.kind = Grammar::Kind::kGrammar,
          .text = absl::StrCat("start: call", several ? R"( ("\n" call)*)" : "",
                               "\ncall: \"<tool_call>\\n\" (", functions, ") \"\\n</tool_call>\"\n",
                               rules),
          .after_token = {}};
}

}  // namespace weft::gateway
