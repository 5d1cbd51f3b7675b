#include "gateway/openai/whole_answer.h"

#include <utility>

#include "gateway/openai/chat_format.h"
#include "gateway/openai/completion_format.h"
#include "gateway/openai/error.h"
#include "gateway/openai/format_parts.h"
#include "gateway/openai/json_writer.h"

namespace weft::openai {

Collector::Collector(const GenerationCall& call, const AnswerHead& head, AnswerShape shape)
    : endpoint_(call.endpoint),
      head_(head),
      echo_(std::move(shape.echo)),
      shows_prompt_logprobs_(call.shows_prompt_logprobs),
      only_echo_(call.only_echo),
      choices_(static_cast<size_t>(shape.num_choices)) {
  if (!shape.with_logprobs) return;
  for (CollectedChoice& choice : choices_) choice.logprobs.emplace();
}

void Collector::Delta(std::string&, const gateway::Delta& delta) {
  if (only_echo_) return;
  CollectedChoice& choice = choices_[static_cast<size_t>(delta.index)];
  choice.content += delta.content;
  choice.reasoning += delta.reasoning;
  for (const gateway::ToolCallDelta& part : delta.tool_calls) {
    const auto index = static_cast<size_t>(part.call);
    if (index >= choice.tool_calls.size()) choice.tool_calls.resize(index + 1);
    text::ToolCall& call = choice.tool_calls[index];
    call.id += part.id;
    call.name += part.name;
    call.arguments += part.arguments;
  }
  if (choice.logprobs) {
    choice.logprobs->insert(choice.logprobs->end(), delta.logprobs.begin(), delta.logprobs.end());
  }
}

void Collector::Finished(std::string&, const gateway::ChoiceFinished& finished) {
  choices_[static_cast<size_t>(finished.index)].finished = finished;
}

void Collector::PromptLogprobs(int first_choice, int num_choices, SharedPromptLogprobs logprobs) {
  for (int i = 0; i < num_choices; ++i) {
    choices_[static_cast<size_t>(first_choice + i)].prompt_logprobs = logprobs;
  }
}

void Collector::Completed(std::string& out, const gateway::Usage& usage) {
  gateway::Usage told = usage;
  if (only_echo_) told.completion_tokens = 0;
  out += WholeAnswer(endpoint_, head_, choices_, told, echo_, shows_prompt_logprobs_);
}

void Collector::Failed(std::string& out, const absl::Status& status) { out += ErrorBody(status); }

std::string WholeAnswer(Endpoint endpoint, const AnswerHead& head,
                        const std::vector<CollectedChoice>& choices, const gateway::Usage& usage,
                        const std::vector<std::string>& echo, bool shows_prompt_logprobs) {
  std::string out;
  AppendHead(out, head, endpoint == Endpoint::kChat ? "chat.completion" : "text_completion");
  for (size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) out += ',';
    out += "{\"index\":";
    AppendInt(out, static_cast<long long>(i));
    if (endpoint == Endpoint::kChat) {
      AppendChatChoice(out, choices[i]);
    } else {
      AppendCompletionChoice(out, choices[i], i < echo.size() ? echo[i] : std::string());
    }
    AppendFinish(out, choices[i].finished);
    if (shows_prompt_logprobs && endpoint == Endpoint::kCompletion && choices[i].prompt_logprobs) {
      AppendPromptLogprobs(out, *choices[i].prompt_logprobs);
    }
    out += '}';
  }
  out += "],\"usage\":";
  AppendUsage(out, usage);
  if (shows_prompt_logprobs && endpoint == Endpoint::kChat && choices.front().prompt_logprobs) {
    AppendPromptLogprobs(out, *choices.front().prompt_logprobs);
  }
  out += '}';
  return out;
}

}  // namespace weft::openai
