// How a family of models wants to be asked: what its authors publish.
#pragma once

#include <boost/json/array.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace weft::eval {

struct Prompt {
  std::string name;
  std::string about;       // for --help
  std::string system;      // empty: no such message
  std::string suffix;      // behind the question
  double temperature = 0;  // 0: greedy
  double top_p = 1;
  int num_seeds = 1;  // answers to each problem, unless told otherwise
  int max_tokens = 2048;
  bool thinks = false;  // an answer that never closes its thinking has none
};

// r1, qwen-math, chat, plain.
const std::vector<Prompt>& Prompts();
const Prompt* FindPrompt(const std::string& name);  // nullptr: none of that name
// By the name of the model: R1, DeepSeek and QwQ -> r1; Math -> qwen-math; else chat.
const Prompt& PromptForModel(const std::string& model);

boost::json::array Messages(const Prompt& prompt, const std::string& question);

}  // namespace weft::eval
