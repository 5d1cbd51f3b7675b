#include "cli/bench/workload.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <cmath>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "cli/bench/answer_check.h"

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

// SplitMix64: neighbouring seeds, unrelated numbers.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  int Below(int end) { return static_cast<int>((Next() >> 32) * static_cast<uint64_t>(end) >> 32); }
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }  // [0, 1)

 private:
  uint64_t state_;
};

void AppendInt(std::string& out, uint64_t value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

std::string Quoted(const std::string& text) {
  return boost::json::serialize(boost::json::string(text));
}

}  // namespace

std::vector<double> Arrivals(int num_requests, double rate, uint64_t seed) {
  std::vector<double> arrivals(static_cast<size_t>(num_requests), 0.0);
  if (rate == 0 || std::isinf(rate)) return arrivals;
  Random random(Random(seed).Next());
  double now = 0;
  for (double& arrival : arrivals) {
    arrival = now;
    now -= std::log1p(-random.Unit()) / rate;
  }
  return arrivals;
}

Workload::Workload(const Options& options, const Target& target, const std::string& model)
    : is_chat_(options.endpoint == "chat"),
      has_seeds_(!options.check_simulated.empty()),
      input_len_(options.random_input_len),
      first_id_(std::min(kFirstId, options.vocab_size / 2)),
      end_id_(options.vocab_size),
      seed_(options.seed) {
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
  if (is_chat_) {
    absl::StrAppend(&body_begin_, ",\"max_completion_tokens\":", options.random_output_len);
  } else {
    absl::StrAppend(&body_begin_, ",\"max_tokens\":", options.random_output_len,
                    ",\"repetition_penalty\":1.0");
  }
  absl::StrAppend(&body_begin_, ",\"temperature\":", options.temperature,
                  options.ignore_eos ? ",\"ignore_eos\":true" : "",
                  ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
  if (!options.extra_body.empty()) {
    const boost::json::value fields = boost::json::parse(options.extra_body);
    for (const auto& [name, value] : fields.as_object()) {
      absl::StrAppend(&body_begin_, ",", Quoted(std::string(name)), ":",
                      boost::json::serialize(value));
    }
  }
  body_begin_ += is_chat_ ? ",\"messages\":[{\"role\":\"user\",\"content\":\"" : ",\"prompt\":[";
  body_end_ = is_chat_ ? "\"}]" : "]";
}

void Workload::AppendPrompt(int64_t index, std::string& out) const {
  Random random(Random(seed_ ^ 0x70726f6d7074u).Next() + static_cast<uint64_t>(index));
  // Neighbouring states would draw the same numbers, one place apart.
  random = Random(random.Next());
  for (int i = 0; i < input_len_; ++i) {
    if (is_chat_) {
      if (i > 0) out += ' ';
      out += kWords[random.Below(std::size(kWords))];
    } else {
      if (i > 0) out += ',';
      AppendInt(out, static_cast<uint64_t>(first_id_ + random.Below(end_id_ - first_id_)));
    }
  }
}

void Workload::WriteRequest(int64_t index, std::string& out) const {
  out = head_;
  const size_t length_at = out.size();
  out += "\r\n\r\n";
  const size_t body_at = out.size();
  out += body_begin_;
  AppendPrompt(index, out);
  out += body_end_;
  if (has_seeds_) absl::StrAppend(&out, ",\"seed\":", AnswerCheck::SeedOf(index));
  out += '}';
  out.insert(length_at, std::to_string(out.size() - body_at));
}

}  // namespace weft::bench
