// One choice as its client sees it, who checks all that comes: each token and logprob the
// right one and in its place, one end, and an end that its cause explains.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "gateway/upstream/session.h"
#include "sim/clock.h"
#include "sim/faults/fault_simulation.h"
#include "sim/faults/fault_world.h"

namespace weft::sim {

// What clients may know of the world that they are in.
struct Surroundings {
  const FaultWorld& world;
  const Clock& clock;
  FaultReport& report;
  uint64_t term = 0;      // of who leads
  bool is_quiet = false;  // nothing breaks any more, and nothing is broken
  int64_t num_over = 0;
  std::function<void(bool condition, const std::string& rule)> require;
};

class FaultClient final : public gateway::SequenceSink {
 public:
  FaultClient(Surroundings& surroundings, uint64_t client_id)
      : id(client_id), s_(surroundings), heard_at_(surroundings.clock.now_us()) {}

  std::optional<int> OnTokens(std::span<const TokenId> tokens,
                              std::span<const v1::TokenLogprobs* const> logprobs) override;
  void OnPromptLogprobs(const v1::PromptLogprobs& logprobs, int first_entry) override;
  void OnEnd(const gateway::SequenceEnd& end) override;

  // Nothing more comes; `count` says how it went.
  void Leave(int64_t& count);
  // Whether the scheduler should hold its sequence, as far as it knows.
  bool is_waiting() const { return !is_over && !is_concluded; }

  const uint64_t id;  // and its sampling seed
  gateway::Submission submission;
  int gateway = 0;                 // which process, counted over all that there were
  std::optional<int> conclude_at;  // once that many tokens are here
  std::function<void()> on_conclude;
  bool is_concluded = false;
  bool is_over = false;

 private:
  void Require(bool condition, const char* rule, const std::string& message = {}) const;
  // Where a stop token ends the stream, nothing follows. True: it has one.
  bool CheckStops() const;
  void CheckEnd(const gateway::SequenceEnd& end) const;
  void CheckRejected(const gateway::SequenceEnd& end) const;
  void CheckError(const std::string& message) const;
  bool is_full() const;  // no worker need have room for more

  Surroundings& s_;
  std::vector<TokenId> received_;
  int num_prompt_logprobs_ = 0;  // from position 1 on
  std::set<uint64_t> terms_;     // of the schedulers that it got tokens from
  int64_t heard_at_;
};

}  // namespace weft::sim
