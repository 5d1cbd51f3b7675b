#include "cli/bench/workload.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/bench/answer_check.h"
#include "cli/bench/json_text.h"
#include "sim/random.h"

namespace weft::bench {
namespace {

// Ids below are often special or single bytes.
constexpr int kFirstId = 1000;

// Each one token, with its space, for every tokenizer of a large vocabulary.
constexpr const char* kWords[] = {
    "time",     "year",   "people",     "way",    "day",     "man",     "thing",    "woman",
    "life",     "child",  "world",      "school", "state",   "family",  "group",    "country",
    "hand",     "part",   "place",      "case",   "week",    "company", "system",   "program",
    "question", "work",   "government", "number", "night",   "point",   "home",     "water",
    "room",     "mother", "area",       "money",  "story",   "fact",    "month",    "lot",
    "right",    "study",  "book",       "eye",    "job",     "word",    "business", "issue",
    "side",     "kind",   "head",       "house",  "service", "friend",  "father",   "power",
    "hour",     "game",   "line",       "end",    "member",  "law",     "car",      "city"};

void AppendInt(std::string& out, uint64_t value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

// Seeds of one kind of text. Neighbouring numbers, unrelated seeds: SplitMix64's states would
// draw the same numbers, one place apart.
uint64_t TextSeed(uint64_t seed, uint64_t kind, uint64_t number) {
  return sim::Random(sim::Random(seed ^ kind).Next() + number).Next();
}
constexpr uint64_t kOwnText = 0x70726f6d7074;
constexpr uint64_t kSharedText = 0x707265666978;

uint64_t OwnSeed(uint64_t seed, const Dialogue& dialogue) {
  return TextSeed(seed, kOwnText, static_cast<uint64_t>(dialogue.index)) +
         static_cast<uint64_t>(dialogue.turn);
}

// Tenants share nothing.
uint64_t SharedSeed(uint64_t seed, const sim::Arrival& request) {
  uint64_t tenant = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : request.tenant) {
    tenant = (tenant ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return TextSeed(seed ^ tenant, kSharedText, request.prefix);
}

void AppendWords(uint64_t seed, int count, std::string& out) {
  sim::Random random(seed);
  for (int i = 0; i < count; ++i) {
    if (i > 0) out += ' ';
    out += kWords[random.Between(0, static_cast<int>(std::size(kWords)) - 1)];
  }
}

// Behind those that are there. What `append_content` appends needs no escapes.
template <typename AppendContent>
void AppendMessage(std::string& messages, const char* role, AppendContent append_content) {
  absl::StrAppend(&messages, messages.empty() ? "" : ",", "{\"role\":\"", role,
                  "\",\"content\":\"");
  append_content(messages);
  messages += "\"}";
}

}  // namespace

Workload::Workload(const Options& options, const Target& target, const std::string& model,
                   const Dataset& dataset, std::vector<sim::Arrival> requests)
    : is_chat_(options.endpoint == "chat"),
      has_seeds_(!options.check_simulated.empty()),
      conversation_len_(options.conversation_len),
      first_id_(std::min(kFirstId, options.vocab_size / 2)),
      end_id_(options.vocab_size),
      seed_(options.seed),
      dataset_(dataset),
      requests_(std::move(requests)) {
  head_ = absl::StrCat("POST ", target.base, is_chat_ ? "/v1/chat/completions" : "/v1/completions",
                       " HTTP/1.1\r\nHost: ", target.authority,
                       "\r\nUser-Agent: weft-bench\r\nAccept: text/event-stream\r\n"
                       "Content-Type: application/json\r\n");
  if (!options.api_key.empty()) {
    absl::StrAppend(&head_, "Authorization: Bearer ", options.api_key, "\r\n");
  }
  head_ += "Content-Length: ";

  // The fields that `vllm bench serve` sends.
  body_begin_ = absl::StrCat("{\"model\":", Quoted(model));
  absl::StrAppend(&body_begin_, is_chat_ ? "" : ",\"repetition_penalty\":1.0",
                  ",\"temperature\":", options.temperature,
                  options.ignore_eos ? ",\"ignore_eos\":true" : "",
                  ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
  if (!options.extra_body.empty()) {
    const boost::json::value fields = boost::json::parse(options.extra_body);
    for (const auto& [name, value] : fields.as_object()) {
      absl::StrAppend(&body_begin_, ",", Quoted(std::string_view(name.data(), name.size())), ":",
                      boost::json::serialize(value));
    }
  }
  body_begin_ += is_chat_ ? ",\"max_completion_tokens\":" : ",\"max_tokens\":";
}

const sim::Arrival& Workload::RequestOf(int64_t index) const {
  const auto n = static_cast<int64_t>(requests_.size());
  return requests_[static_cast<size_t>(((index % n) + n) % n)];
}

void Workload::AppendIds(uint64_t seed, int count, std::string& out) const {
  sim::Random random(seed);
  for (int i = 0; i < count; ++i) {
    if (out.back() != '[') out += ',';
    AppendInt(out, static_cast<uint64_t>(random.Between(first_id_, end_id_ - 1)));
  }
}

void Workload::AppendMessages(Dialogue& dialogue, const sim::Arrival& request) const {
  if (!dataset_.empty()) {
    dialogue.messages = dataset_.at(dialogue.index).messages;
    return;
  }
  if (dialogue.turn == 0 && request.num_prefix_tokens > 0) {
    AppendMessage(dialogue.messages, "system", [&](std::string& out) {
      AppendWords(SharedSeed(seed_, request), request.num_prefix_tokens, out);
    });
  }
  AppendMessage(dialogue.messages, "user", [&](std::string& out) {
    const int num_own = request.num_input_tokens - request.num_prefix_tokens;
    AppendWords(OwnSeed(seed_, dialogue), std::max(1, num_own), out);
  });
}

void Workload::AppendPrompt(Dialogue& dialogue, const sim::Arrival& request,
                            std::string& out) const {
  if (!dataset_.empty()) {
    absl::StrAppend(&out, ",\"prompt\":", dataset_.at(dialogue.index).prompt);
    return;
  }
  out += ",\"prompt\":[";
  AppendIds(SharedSeed(seed_, request), request.num_prefix_tokens, out);
  AppendIds(OwnSeed(seed_, dialogue), request.num_input_tokens - request.num_prefix_tokens, out);
  out += ']';
  dialogue.num_prompt_ids = request.num_input_tokens;
}

void Workload::Write(Dialogue& dialogue, std::string& out) const {
  const sim::Arrival& request = RequestOf(dialogue.index);
  if (dialogue.turn == 0) {
    dialogue.messages.clear();
    dialogue.num_tokens = 0;
  }
  const int num_recorded = dataset_.empty() ? 0 : dataset_.at(dialogue.index).num_output_tokens;
  dialogue.num_asked_tokens = num_recorded > 0 ? num_recorded : request.num_output_tokens;

  out = head_;
  const size_t length_at = out.size();
  out += "\r\n\r\n";
  const size_t body_at = out.size();
  out += body_begin_;
  AppendInt(out, static_cast<uint64_t>(dialogue.num_asked_tokens));
  if (is_chat_) {
    AppendMessages(dialogue, request);
    absl::StrAppend(&out, ",\"messages\":[", dialogue.messages, "]");
  } else {
    AppendPrompt(dialogue, request, out);
  }
  if (request.priority != 0) absl::StrAppend(&out, ",\"priority\":", request.priority);
  if (has_seeds_) absl::StrAppend(&out, ",\"seed\":", AnswerCheck::SeedOf(dialogue.index));
  out += '}';
  out.insert(length_at, std::to_string(out.size() - body_at));
}

bool Workload::Continue(Dialogue& dialogue, std::string_view answer, int64_t num_prompt_tokens,
                        int64_t num_output_tokens) const {
  if (conversation_len_ == 0) return false;
  const sim::Arrival& request = RequestOf(dialogue.index);
  const int num_own = request.num_input_tokens - request.num_prefix_tokens;
  // Without the server's word the prompt is what was said, as long as it was meant to be.
  if (num_prompt_tokens == 0) {
    num_prompt_tokens =
        dialogue.num_tokens + (dialogue.turn == 0 ? request.num_input_tokens : num_own);
  }
  dialogue.num_tokens = num_prompt_tokens + num_output_tokens;
  if (dialogue.num_tokens + num_own + request.num_output_tokens > conversation_len_) return false;
  AppendMessage(dialogue.messages, "assistant", [&](std::string& out) {
    const std::string quoted = Quoted(answer);
    out.append(quoted, 1, quoted.size() - 2);
  });
  ++dialogue.turn;
  return true;
}

}  // namespace weft::bench
