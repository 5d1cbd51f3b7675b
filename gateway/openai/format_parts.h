// Pieces of JSON that several shapes of answers share. For the x_format.cc files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/inference/event.h"
#include "gateway/openai/format.h"

namespace weft::openai {

// {"id":...,"choices":[
void AppendHead(std::string& out, const AnswerHead& head, std::string_view object);
// {"prompt_tokens":...}
void AppendUsage(std::string& out, const gateway::Usage& usage);
// ,"finish_reason":"stop","stop_reason":null
void AppendFinish(std::string& out, const gateway::ChoiceFinished& finished);

// [{"token":"a","logprob":-0.1,"bytes":[97],"top_logprobs":[...]},...]
void AppendTokenLogprobs(std::string& out, const std::vector<gateway::TokenLogprob>& logprobs);

// ,"prompt_logprobs":[null,{"17":{"logprob":-0.1,"rank":1,"decoded_token":"a"},...},...]:
// vLLM's shape. The prompt's own token first, then the top.
void AppendPromptLogprobs(std::string& out, const std::vector<gateway::PromptLogprob>& logprobs);

}  // namespace weft::openai
