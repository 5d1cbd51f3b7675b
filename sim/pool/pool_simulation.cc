#include "sim/pool/pool_simulation.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include "common/check.h"
#include "sim/clock.h"

namespace weft::sim {
namespace {

using core::Micros;

// Of Qwen2's tokenizer. Tokens have no meaning here; they tell prompts apart.
constexpr int kVocabSize = 151936;

// The host plans one step while the device runs another.
constexpr int kStepsInFlight = 2;

// Seeds of SimulatedToken, by what the tokens belong to.
enum TokenSeed : uint64_t { kOutputSeed = 1, kPromptSeed, kPrefixSeed };

class Worker {
 public:
  // A step on its way, with its answer: all of that is known before it runs.
  struct Flight {
    uint64_t step_id = 0;
    std::vector<core::RowResult> rows;
    std::vector<TokenId> tokens;
    Micros took = 0;
  };

  explicit Worker(const PoolOptions& options) : options_(options), slots_(options.max_num_seqs) {}

  // Steps in order.
  void Receive(const core::Step& step);

  std::deque<Flight> flights;  // oldest first; that one runs

 private:
  struct Slot {
    uint64_t request = 0;
    int num_prompt_tokens = 0;
    int num_known_tokens = 0;
    int num_computed_tokens = 0;
  };

  const PoolOptions& options_;
  std::vector<Slot> slots_;
};

void Worker::Receive(const core::Step& step) {
  for (const core::SlotEntry& entry : step.entries) {
    slots_[entry.slot] = {.request = entry.sampling->seed,
                          .num_prompt_tokens = entry.num_prompt_tokens,
                          .num_known_tokens = static_cast<int>(entry.tokens.size()),
                          .num_computed_tokens = entry.num_computed_tokens};
  }
  Flight& flight = flights.emplace_back();
  flight.step_id = step.step_id;
  flight.rows.reserve(step.rows.size());
  flight.tokens.reserve(step.rows.size());
  StepLoad load;
  for (const core::StepRow& row : step.rows) {
    Slot& slot = slots_[row.slot];
    const int begin = slot.num_computed_tokens;
    slot.num_computed_tokens += row.num_tokens;
    WEFT_CHECK(slot.num_computed_tokens <= slot.num_known_tokens);
    const bool samples = slot.num_computed_tokens == slot.num_known_tokens;
    load.AddRow(begin, row.num_tokens, samples);
    flight.rows.push_back({.num_tokens = samples ? 1 : 0});
    if (!samples) continue;
    const int output_index = slot.num_known_tokens - slot.num_prompt_tokens;
    flight.tokens.push_back(SimulatedToken(kOutputSeed, slot.request, output_index, kVocabSize));
    ++slot.num_known_tokens;
  }
  const double seconds = StepSeconds(options_.gpu, options_.shape, load) / options_.speed;
  flight.took = std::max<Micros>(1, std::llround(1e6 * seconds));
}

class PoolSimulation {
 public:
  PoolSimulation(const PoolOptions& options, const std::vector<Arrival>& arrivals)
      : options_(options),
        arrivals_(arrivals),
        core_(options.scheduler),
        workers_(options.num_workers, Worker(options)),
        requests_(arrivals.size()) {}

  PoolReport Run();

 private:
  // What its client knows of one.
  struct Request {
    Micros sent = 0;
    Micros first_token = 0;
    Micros last_token = 0;
    int num_tokens = 0;
  };

  void WakeForArrival(size_t index);
  void Submit(size_t index);
  void Begin(const core::Step& step);
  void RunOldest(core::WorkerId id);
  void Answer(core::WorkerId id);

  // After each event, in this order.
  void Settle();
  void ReceiveOutputs();
  void ReceiveEnd(const core::Finished& finished);
  void SubmitDue();
  void Observe();

  Micros now() const { return clock_.now_us(); }
  // A request's id is its place among the arrivals, counted from 1.
  Request& request(core::SequenceId id) { return requests_[id - 1]; }

  const PoolOptions& options_;
  const std::vector<Arrival>& arrivals_;
  Clock clock_;
  core::Core core_;
  std::vector<Worker> workers_;  // a worker's id is its place, counted from 1
  std::vector<Request> requests_;
  size_t num_due_ = 0;   // arrivals whose time has come
  size_t num_sent_ = 0;  // the first of those
  int num_open_ = 0;     // sent, and not ended
  core::Step step_;
  core::Outputs out_;
  core::Gauges gauges_;  // since observed_at_
  Micros observed_at_ = 0;
  PoolReport report_;
};

PoolReport PoolSimulation::Run() {
  const core::WorkerLimits limits{.num_blocks = options_.num_blocks,
                                  .max_rows = options_.max_num_seqs,
                                  .max_step_tokens = options_.max_num_batched_tokens,
                                  .max_steps_in_flight = kStepsInFlight,
                                  .max_context_tokens = options_.max_context_tokens,
                                  .vocab_size = kVocabSize};
  for (core::WorkerId id = 1; id <= workers_.size(); ++id) {
    WEFT_CHECK(core_.Apply(core::WorkerJoined{.worker = id, .limits = limits}, now(), out_).ok());
  }
  WakeForArrival(0);
  while (clock_.RunNext()) {
  }
  WEFT_CHECK(num_sent_ == arrivals_.size() && num_open_ == 0);
  const core::Gauges gauges = core_.gauges();
  WEFT_CHECK(gauges.num_blocks_used == 0);
  report_.duration = now();
  report_.counters = core_.counters();
  report_.num_blocks_total = gauges.num_blocks_total;
  return std::move(report_);
}

// What comes at the same time is submitted before a step is planned.
void PoolSimulation::WakeForArrival(size_t index) {
  if (index == arrivals_.size()) return;
  clock_.At(arrivals_[index].at, [this, index] {
    num_due_ = index;
    while (num_due_ < arrivals_.size() && arrivals_[num_due_].at <= now()) ++num_due_;
    WakeForArrival(num_due_);
    Settle();
  });
}

void PoolSimulation::Submit(size_t index) {
  const Arrival& arrival = arrivals_[index];
  core::Submit submit;
  submit.id = index + 1;
  submit.tenant = arrival.tenant;
  submit.priority = arrival.priority;
  submit.max_tokens = arrival.num_output_tokens;
  submit.sampling.seed = submit.id;
  submit.prompt.reserve(arrival.num_input_tokens);
  for (int i = 0; i < arrival.num_input_tokens; ++i) {
    submit.prompt.push_back(i < arrival.num_prefix_tokens
                                ? SimulatedToken(kPrefixSeed, arrival.prefix, i, kVocabSize)
                                : SimulatedToken(kPromptSeed, submit.id, i, kVocabSize));
  }
  requests_[index].sent = now();
  ++num_open_;
  core_.Apply(std::move(submit), now(), out_);
}

void PoolSimulation::Begin(const core::Step& step) {
  Worker& worker = workers_[step.worker - 1];
  worker.Receive(step);
  report_.num_rows += static_cast<int64_t>(step.rows.size());
  if (worker.flights.size() == 1) RunOldest(step.worker);
}

void PoolSimulation::RunOldest(core::WorkerId id) {
  const Micros took = workers_[id - 1].flights.front().took;
  clock_.After(took, [this, id] { Answer(id); });
}

void PoolSimulation::Answer(core::WorkerId id) {
  Worker& worker = workers_[id - 1];
  const Worker::Flight flight = std::move(worker.flights.front());
  worker.flights.pop_front();
  if (!worker.flights.empty()) RunOldest(id);
  report_.busy += flight.took;
  report_.timeline.Add(Timeline::kOutputTokensPerSecond, now() - flight.took, now(),
                       1e6 * static_cast<double>(flight.tokens.size()) / flight.took);
  const absl::Status status = core_.Apply(core::StepDone{.worker = id,
                                                         .step_id = flight.step_id,
                                                         .rows = flight.rows,
                                                         .tokens = flight.tokens,
                                                         .took = flight.took},
                                          now(), out_);
  WEFT_CHECK(status.ok());
  Settle();
}

void PoolSimulation::Settle() {
  ReceiveOutputs();
  SubmitDue();
  while (core_.Plan(now(), step_)) Begin(step_);
  Observe();
}

void PoolSimulation::ReceiveOutputs() {
  for (const core::TokensOut& tokens : out_.tokens) {
    Request& request = this->request(tokens.id);
    if (request.num_tokens == 0) {
      request.first_token = now();
    } else {
      report_.itl_ms.push_back(1e-3F * static_cast<float>(now() - request.last_token));
    }
    request.num_tokens += tokens.num_tokens;
    request.last_token = now();
  }
  for (const core::Finished& finished : out_.finished) ReceiveEnd(finished);
  for (const core::Rejected& rejected : out_.rejected) {
    --num_open_;
    Refusals& refusals = rejected.code == core::RejectCode::kQueueFull ? report_.rejected_by_queue
                                                                       : report_.rejected_for_size;
    if (refusals.count++ == 0) refusals.example = rejected.message;
  }
  out_.Clear();
}

void PoolSimulation::ReceiveEnd(const core::Finished& finished) {
  --num_open_;
  if (finished.reason != core::FinishReason::kLength) {
    if (report_.failed.count++ == 0) report_.failed.example = finished.message;
    return;
  }
  const Request& request = this->request(finished.id);
  const Arrival& arrival = arrivals_[finished.id - 1];
  report_.num_cut_answers += request.num_tokens < arrival.num_output_tokens;
  report_.completed.push_back({.ttft = request.first_token - request.sent,
                               .e2e = request.last_token - request.sent,
                               .num_input_tokens = arrival.num_input_tokens,
                               .num_output_tokens = request.num_tokens});
}

void PoolSimulation::SubmitDue() {
  while (num_sent_ < num_due_ &&
         (options_.max_concurrency == 0 || num_open_ < options_.max_concurrency)) {
    Submit(num_sent_++);
    ReceiveOutputs();  // a rejection makes room for the next
  }
}

void PoolSimulation::Observe() {
  Timeline& timeline = report_.timeline;
  timeline.Add(Timeline::kRunning, observed_at_, now(), gauges_.num_running);
  timeline.Add(Timeline::kWaiting, observed_at_, now(), gauges_.num_waiting());
  timeline.Add(Timeline::kBlocksInUse, observed_at_, now(),
               static_cast<double>(gauges_.num_blocks_used));
  observed_at_ = now();
  gauges_ = core_.gauges();
  report_.peak_blocks_in_use = std::max(report_.peak_blocks_in_use, gauges_.num_blocks_used);
}

}  // namespace

PoolReport SimulatePool(const PoolOptions& options, const std::vector<Arrival>& arrivals) {
  return PoolSimulation(options, arrivals).Run();
}

}  // namespace weft::sim
