// The language of the core's scenario tests: who joins, who submits, when a step
// is planned and when it is answered. Workers are sim::ModelWorkers, so every
// row's KV is checked on the way, and the core's invariants after each word.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/core/core.h"
#include "sim/model_worker.h"

namespace weft::core {

// What a test says of a request; the rest is of no account there.
struct Request {
  std::string tenant = "tenant";
  std::vector<TokenId> prompt;
  std::vector<TokenId> delivered;
  int max_tokens = 100;
  Micros deadline = kNever;
  int priority = 0;
  std::string salt;
  std::vector<TokenId> stop_token_ids;
  int min_tokens = 0;
  std::optional<int> prompt_logprobs = {};
};

// A prompt of `num_tokens`; prompts of another letter share no block with it.
inline std::vector<TokenId> Prompt(char letter, int num_tokens) {
  return std::vector<TokenId>(num_tokens, letter);
}

inline std::vector<TokenId> operator+(std::vector<TokenId> a, const std::vector<TokenId>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

struct PlannedRow {
  SequenceId id = 0;
  int num_tokens = 0;

  bool operator==(const PlannedRow&) const = default;
  friend void PrintTo(const PlannedRow& row, std::ostream* os) {
    *os << row.id << ":" << row.num_tokens;
  }
};
using Rows = std::vector<PlannedRow>;

class CoreTest : public ::testing::Test {
 protected:
  static constexpr int kVocabSize = 1000;

  // 8 blocks of 16, 4 rows, 64 tokens a step, two steps in flight.
  static WorkerLimits Limits() {
    return {.num_blocks = 8,
            .max_rows = 4,
            .max_step_tokens = 64,
            .max_steps_in_flight = 2,
            .max_context_tokens = 1000,
            .vocab_size = kVocabSize};
  }
  static WorkerLimits LimitsOneStep() {
    WorkerLimits limits = Limits();
    limits.max_steps_in_flight = 1;
    return limits;
  }

  explicit CoreTest(const Config& config = {}) : core_(config) {}

  // ---- workers ----

  void Join(WorkerId worker, const WorkerLimits& limits = Limits()) {
    ASSERT_TRUE(TryJoin(worker, limits).ok());
    models_.emplace(worker, sim::ModelWorker(limits, {}));
  }
  absl::Status TryJoin(WorkerId worker, const WorkerLimits& limits) {
    const absl::Status status =
        core_.Apply(WorkerJoined{.worker = worker, .limits = limits}, now_, out_);
    Settle();
    return status;
  }
  void Lose(WorkerId worker) {
    models_.erase(worker);
    in_flight_.erase(worker);
    slots_.erase(worker);
    core_.Apply(WorkerLost{.worker = worker}, now_, out_);
    Settle();
  }
  void Drain(WorkerId worker) {
    core_.Apply(WorkerDraining{.worker = worker}, now_, out_);
    Settle();
  }

  // ---- clients ----

  void Submit(SequenceId id, Request request) {
    core::Submit submit;
    submit.id = id;
    submit.tenant = request.tenant;
    submit.prompt = request.prompt;
    submit.delivered = request.delivered;
    submit.sampling.seed = id;
    submit.sampling.stop_token_ids = request.stop_token_ids;
    submit.sampling.min_tokens = request.min_tokens;
    submit.sampling.num_prompt_logprobs = request.prompt_logprobs;
    submit.max_tokens = request.max_tokens;
    submit.deadline = request.deadline;
    submit.priority = request.priority;
    submit.cache_salt = request.salt;
    received_[id] = request.delivered;
    sampling_[id] = submit.sampling;
    core_.Apply(std::move(submit), now_, out_);
    Settle();
  }
  void Cancel(SequenceId id) {
    core_.Apply(core::Cancel{.id = id}, now_, out_);
    Settle();
  }
  void Conclude(SequenceId id, int num_tokens) {
    core_.Apply(core::Conclude{.id = id, .num_tokens = num_tokens}, now_, out_);
    Settle();
  }
  void TickAt(Micros now) {
    now_ = now;
    core_.Apply(Tick{}, now_, out_);
    Settle();
  }

  // ---- steps ----

  // Plans one step; its rows, in order. Empty: there was nothing to do.
  Rows Plan() {
    if (!core_.Plan(now_, step_)) return {};
    EXPECT_TRUE(core_.CheckInvariants().ok()) << core_.CheckInvariants();
    planned_worker_ = step_.worker;
    for (const SlotEntry& entry : step_.entries) {
      slots_[step_.worker][entry.slot] = entry.sampling->seed;
      entered_at_[entry.sampling->seed] = entry.num_computed_tokens;
    }
    Rows rows;
    for (const StepRow& row : step_.rows) {
      rows.push_back({slots_[step_.worker][row.slot], row.num_tokens});
    }
    in_flight_[step_.worker].emplace_back(step_);
    return rows;
  }

  // The worker answers its oldest step, which took step_took_. `broken`: a row with a value
  // that is not a number.
  void Answer(WorkerId worker = 1, std::optional<SequenceId> broken = {}) {
    ASSERT_FALSE(in_flight_[worker].empty());
    sim::StepAnswer answer = *models_.at(worker).Execute(in_flight_[worker].front());
    in_flight_[worker].pop_front();
    EXPECT_EQ(models_.at(worker).violation(), "");
    size_t token = 0;
    for (size_t row = 0; row < answer.rows.size(); ++row) {
      if (answer.requests[row] == broken && answer.rows[row].num_tokens > 0) {
        answer.rows[row] = {.status = RowStatus::kNonFinite};
        answer.tokens.erase(answer.tokens.begin() + token);
      }
      token += answer.rows[row].num_tokens;
    }
    const absl::Status status = core_.Apply(StepDone{.worker = worker,
                                                     .step_id = answer.step_id,
                                                     .rows = answer.rows,
                                                     .tokens = answer.tokens,
                                                     .took = step_took_},
                                            now_, out_);
    EXPECT_TRUE(status.ok()) << status;
    Settle();
  }

  // Plans a step, and has it answered.
  Rows Step() {
    const Rows rows = Plan();
    if (!rows.empty()) Answer(planned_worker_);
    return rows;
  }
  void StepUntilIdle() {
    while (!Step().empty()) ++now_;
  }

  // ---- what came of it ----

  // How often a row with prompt tokens of it was told of, before any token.
  int NumPromptRows(SequenceId id) { return num_prompt_rows_[id]; }
  int NumReceived(SequenceId id) { return static_cast<int>(received_[id].size()); }
  std::optional<Finished> End(SequenceId id) {
    const auto it = ends_.find(id);
    return it == ends_.end() ? std::nullopt : std::optional(it->second);
  }
  std::optional<FinishReason> EndReason(SequenceId id) {
    return End(id).has_value() ? std::optional(End(id)->reason) : std::nullopt;
  }
  std::optional<Rejected> Rejection(SequenceId id) {
    const auto it = rejections_.find(id);
    return it == rejections_.end() ? std::nullopt : std::optional(it->second);
  }
  // What the model samples, but for min_tokens.
  static TokenId Sample(SequenceId id, int index) {
    return sim::SimulatedToken(/*seed=*/0, /*request=*/id, index, kVocabSize);
  }

  // Every test ends with an empty house: I1 and I2.
  void ExpectIdle() {
    const Gauges gauges = core_.gauges();
    EXPECT_EQ(gauges.num_running + gauges.num_waiting(), 0);
    EXPECT_EQ(gauges.num_blocks_used, 0);
    EXPECT_EQ(gauges.num_blocks_free + gauges.num_blocks_cached, gauges.num_blocks_total);
    const Counters& counters = core_.counters();
    EXPECT_EQ(counters.num_accepted,
              counters.num_completed + counters.num_failed + counters.num_cancelled);
  }

  Core core_;
  Micros now_ = 0;
  Micros step_took_ = 0;
  core::Step step_;                       // as planned last
  WorkerId planned_worker_ = 0;           // likewise
  std::map<SequenceId, int> entered_at_;  // computed tokens when it last entered a slot

 private:
  void Settle() {
    const Outputs out = std::exchange(out_, {});
    EXPECT_TRUE(core_.CheckInvariants().ok()) << core_.CheckInvariants();
    for (const PromptRowOut& row : out.prompt_rows) {
      EXPECT_TRUE(received_[row.id].empty());
      ++num_prompt_rows_[row.id];
    }
    for (const TokensOut& tokens : out.tokens) {
      std::vector<TokenId>& received = received_[tokens.id];
      EXPECT_EQ(tokens.first_index, static_cast<int>(received.size()));
      EXPECT_FALSE(ends_.contains(tokens.id));
      for (const TokenId token : out.Ids(tokens)) {
        EXPECT_EQ(token, sim::ExpectedToken(sampling_[tokens.id], static_cast<int>(received.size()),
                                            kVocabSize));
        received.push_back(token);
      }
    }
    for (const Finished& finished : out.finished) {
      EXPECT_TRUE(ends_.emplace(finished.id, finished).second) << "two ends";
    }
    for (const Rejected& rejected : out.rejected) rejections_[rejected.id] = rejected;
  }

  Outputs out_;
  std::map<WorkerId, sim::ModelWorker> models_;
  std::map<WorkerId, std::deque<sim::SentStep>> in_flight_;
  std::map<WorkerId, std::map<int, SequenceId>> slots_;
  std::map<SequenceId, std::vector<TokenId>> received_;
  std::map<SequenceId, SamplingParams> sampling_;
  std::map<SequenceId, int> num_prompt_rows_;
  std::map<SequenceId, Finished> ends_;
  std::map<SequenceId, Rejected> rejections_;
};

}  // namespace weft::core
