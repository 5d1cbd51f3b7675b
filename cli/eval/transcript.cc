#include "cli/eval/transcript.h"

#include <boost/json.hpp>

#include "cli/eval/grade.h"
#include "common/json_fields.h"

namespace weft::eval {
namespace {

namespace json = boost::json;

constexpr std::string_view kOpen = "<think>", kClose = "</think>";

// Whether the thinking has ended. Servers that set it apart leave no tags.
bool PartThinking(Transcript& t, bool thinks) {
  if (const size_t close = t.content.rfind(kClose); close != std::string::npos) {
    std::string thinking = t.content.substr(0, close);
    if (thinking.starts_with(kOpen)) thinking.erase(0, kOpen.size());
    t.reasoning += thinking;
    t.content.erase(0, close + kClose.size());
    return true;
  }
  const bool is_opened = t.content.starts_with(kOpen);
  if (is_opened) t.content.erase(0, kOpen.size());
  const bool is_all_thinking =
      is_opened || (thinks && t.reasoning.empty() && t.finish_reason == "length");
  if (is_all_thinking) t.reasoning += std::exchange(t.content, {});
  return !t.content.empty() || t.reasoning.empty();
}

}  // namespace

const char* Name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kRight:
      return "right";
    case Outcome::kWrong:
      return "wrong";
    case Outcome::kTruncated:
      break;
  }
  return "truncated";
}

void Judge(Transcript& t, const Prompt& prompt) {
  const bool has_answered = PartThinking(t, prompt.thinks);
  t.found = Name(Found::kNowhere);
  if (!has_answered) {
    const bool was_cut = t.finish_reason == "length";
    t.outcome = was_cut ? Outcome::kTruncated : Outcome::kWrong;
    t.why = was_cut ? "cut off while thinking" : "nothing behind the thinking";
    return;
  }
  Extracted extracted = Extract(t.content);
  t.found = Name(extracted.found);
  t.answer = std::move(extracted.answer);
  if (extracted.found == Found::kNowhere) {
    t.outcome = Outcome::kWrong;
    t.why = t.finish_reason == "length" ? "cut off before an answer" : "no answer";
    return;
  }
  Verdict verdict = Grade(t.answer, t.reference);
  t.outcome = verdict.is_right ? Outcome::kRight : Outcome::kWrong;
  t.why = std::move(verdict.why);
}

json::object ToJson(const Transcript& t) {
  return {{"id", t.id},
          {"seed", t.seed},
          {"outcome", Name(t.outcome)},
          {"why", t.why},
          {"answer", t.answer},
          {"found", t.found},
          {"reference", t.reference},
          {"question", t.question},
          {"reasoning", t.reasoning},
          {"content", t.content},
          {"finish_reason", t.finish_reason},
          {"prompt_tokens", t.num_prompt_tokens},
          {"completion_tokens", t.num_tokens},
          {"seconds", t.seconds}};
}

absl::StatusOr<Transcript> ParseTranscript(std::string_view line) {
  absl::StatusOr<JsonFields> parsed = JsonFields::Parse("transcript", line);
  if (!parsed.ok()) return parsed.status();
  JsonFields& json = *parsed;
  const JsonFields::IntRange count = {.min = 0, .max = int64_t{1} << 40};
  Transcript t = {.id = json.String("id"),
                  .seed = static_cast<int>(json.Int("seed", {.min = 0, .max = 1 << 30})),
                  .question = json.String("question"),
                  .reference = json.String("reference"),
                  .reasoning = json.String("reasoning"),
                  .content = json.String("content"),
                  .finish_reason = json.String("finish_reason"),
                  .answer = json.String("answer"),
                  .found = json.String("found"),
                  .why = json.String("why"),
                  .num_prompt_tokens = json.Int("prompt_tokens", count),
                  .num_tokens = json.Int("completion_tokens", count),
                  .seconds = json.Number("seconds")};
  const std::string outcome = json.String("outcome");
  bool is_known = false;
  for (const Outcome o : {Outcome::kRight, Outcome::kWrong, Outcome::kTruncated}) {
    if (outcome != Name(o)) continue;
    t.outcome = o;
    is_known = true;
  }
  if (!is_known) json.Refuse("outcome", "is none of right, wrong, truncated");
  if (!json.status().ok()) return json.status();
  return t;
}

}  // namespace weft::eval
