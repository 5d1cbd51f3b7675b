// What the requests of a run say. A function of the options, so that the same seed is the
// same load, however many threads send it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/bench/dataset.h"
#include "cli/bench/options.h"
#include "cli/bench/target.h"
#include "sim/pool/traffic.h"

namespace weft::bench {

// A request, or the turns of a conversation so far.
struct Dialogue {
  int64_t index = 0;
  int turn = 0;

  // Workload's:
  std::string messages;      // a chat's, as JSON objects with commas between
  int64_t num_tokens = 0;    // of what has been said, the latest answer included
  int num_prompt_ids = 0;    // of the latest request; 0: it was text
  int num_asked_tokens = 0;  // max_tokens of the latest request
};

class Workload {
 public:
  // `model` is the name that the server knows. `dataset` outlives this.
  Workload(const Options& options, const Target& target, const std::string& model,
           const Dataset& dataset, std::vector<sim::Arrival> requests);

  const std::vector<sim::Arrival>& requests() const { return requests_; }
  // Answers are told to Continue.
  bool has_conversations() const { return conversation_len_ > 0; }

  // Says the next turn of the dialogue, the first of another index too: the whole HTTP
  // request, in the place of what `out` held. Index i has the length of request i modulo
  // their number, and what it says is its own: nothing but a shared prefix is in common with
  // others. Negative ones are for warming up. Thread-safe.
  void Write(Dialogue& dialogue, std::string& out) const;

  // Adds the answer to the dialogue. True: there is another turn, to be written next.
  // `num_prompt_tokens` is 0 where the server did not say. Thread-safe.
  bool Continue(Dialogue& dialogue, std::string_view answer, int64_t num_prompt_tokens,
                int64_t num_output_tokens) const;

 private:
  const sim::Arrival& RequestOf(int64_t index) const;
  void AppendIds(uint64_t seed, int count, std::string& out) const;
  void AppendMessages(Dialogue& dialogue, const sim::Arrival& request) const;
  void AppendPrompt(Dialogue& dialogue, const sim::Arrival& request, std::string& out) const;

  const bool is_chat_;
  const bool has_seeds_;  // AnswerCheck's
  const int conversation_len_;
  const int first_id_;
  const int end_id_;
  const uint64_t seed_;
  const Dataset& dataset_;
  const std::vector<sim::Arrival> requests_;
  std::string head_;        // up to the value of Content-Length
  std::string body_begin_;  // up to max_tokens
};

}  // namespace weft::bench
