#include "cli/eval/prompt.h"

#include <algorithm>
#include <boost/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace weft::eval {
namespace {

constexpr char kDirective[] =
    "Please reason step by step, and put your final answer within \\boxed{}.";

}  // namespace

const std::vector<Prompt>& Prompts() {
  static const std::vector<Prompt> prompts = {
      // DeepSeek-R1's README: no system message, sampling, never greedy, several answers.
      {.name = "r1",
       .about = "directive behind the question, temperature 0.6, top_p 0.95, 4 seeds",
       .suffix = std::string("\n") + kDirective,
       .temperature = 0.6,
       .top_p = 0.95,
       .num_seeds = 4,
       .max_tokens = 32'768,
       .thinks = true},
      // Qwen2.5-Math's README and evaluation.
      {.name = "qwen-math", .about = "directive as system message, greedy", .system = kDirective},
      {.name = "chat",
       .about = "directive behind the question, greedy",
       .suffix = std::string("\n") + kDirective},
      {.name = "plain", .about = "the question alone, greedy"},
  };
  return prompts;
}

const Prompt* FindPrompt(const std::string& name) {
  const auto found = std::find_if(Prompts().begin(), Prompts().end(),
                                  [&](const Prompt& prompt) { return prompt.name == name; });
  return found == Prompts().end() ? nullptr : &*found;
}

const Prompt& PromptForModel(const std::string& model) {
  const std::string lower = absl::AsciiStrToLower(model);
  for (const char* word : {"r1", "deepseek", "qwq"}) {
    if (absl::StrContains(lower, word)) return *FindPrompt("r1");
  }
  return *FindPrompt(absl::StrContains(lower, "math") ? "qwen-math" : "chat");
}

boost::json::array Messages(const Prompt& prompt, const std::string& question) {
  boost::json::array messages;
  if (!prompt.system.empty()) {
    messages.push_back(boost::json::object{{"role", "system"}, {"content", prompt.system}});
  }
  messages.push_back(boost::json::object{{"role", "user"}, {"content", question + prompt.suffix}});
  return messages;
}

}  // namespace weft::eval
