#include "sim/core_simulation.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "scheduler/core/core.h"
#include "sim/clock.h"
#include "sim/model_worker.h"
#include "sim/random.h"
#include "sim/step_time.h"

namespace weft::sim {
namespace {

using core::FinishReason;
using core::Micros;

// More than any healthy history has: if it is reached, something spins.
constexpr int64_t kMaxEvents = 400'000;

// What a seed decides once, before anything happens.
struct World {
  int num_workers = 1;
  int num_requests = 100;
  Micros mean_arrival_us = 1000;
  int vocab_size = 100;
  std::vector<core::WorkerLimits> limits;  // by worker
  ModelFaults model_faults;
  double loss_chance = 0;   // per step started
  double drain_chance = 0;  // per step started
  double slow_chance = 0;   // per step started
  int num_scheduler_losses = 0;
  double cancel_chance = 0;
  double conclude_chance = 0;
  double deadline_chance = 0;
  std::vector<std::vector<TokenId>> prompt_families;
};

World DrawWorld(Random& random) {
  World world;
  world.num_workers = random.Chance(0.5) ? 1 : random.Between(2, 3);
  world.num_requests = random.Between(60, 300);
  world.mean_arrival_us = random.Between(100, 5000);
  world.vocab_size = random.Between(2, 100);
  // Now and then a pool large enough for admissions to leave a margin.
  const bool is_large = random.Chance(0.1);
  const int num_blocks = is_large ? random.Between(100, 130) : random.Between(4, 40);
  for (int i = 0; i < world.num_workers; ++i) {
    core::WorkerLimits limits;
    limits.num_blocks = random.Chance(0.8) ? num_blocks : random.Between(4, 40);
    limits.max_rows = random.Between(1, 8);
    limits.max_step_tokens = limits.max_rows + random.Between(0, is_large ? 1000 : 100);
    limits.max_steps_in_flight = random.Between(1, 2);
    limits.max_context_tokens = is_large ? 4000 : random.Between(40, 600);
    limits.vocab_size = world.vocab_size;
    world.limits.push_back(limits);
  }
  if (random.Chance(0.5)) world.loss_chance = random.Unit() * 0.02;
  if (random.Chance(0.2)) world.drain_chance = random.Unit() * 0.01;
  if (random.Chance(0.3)) world.slow_chance = 0.02;
  if (random.Chance(0.2)) world.num_scheduler_losses = random.Between(1, 2);
  if (random.Chance(0.7)) world.cancel_chance = random.Unit() * 0.4;
  if (random.Chance(0.5)) world.conclude_chance = random.Unit() * 0.3;
  if (random.Chance(0.3)) world.deadline_chance = random.Unit() * 0.3;

  world.model_faults.fault_output_index = random.Chance(0.5) ? 0 : random.Between(1, 6);
  if (random.Chance(0.4)) {
    for (int i = random.Between(1, 5); i > 0; --i) {
      world.model_faults.poisoned_requests.insert(random.Between(1, world.num_requests));
    }
  }
  // One killer at most: with two, one may strike while the other's innocent
  // neighbour is on trial, and no scheduler can tell them apart.
  if (random.Chance(0.2)) {
    world.model_faults.killer_requests.insert(random.Between(1, world.num_requests));
  }
  for (int i = random.Between(1, 4); i > 0; --i) {
    std::vector<TokenId>& family = world.prompt_families.emplace_back();
    for (int j = random.Between(0, is_large ? 2000 : 150); j > 0; --j) {
      family.push_back(random.Between(0, world.vocab_size - 1));
    }
  }
  return world;
}

// What a gateway knows of one request.
struct Client {
  core::Submit submit;
  std::vector<TokenId> received;
  int num_prompt_told = 0;  // prompt tokens, from the first on, whose rows it was told of
  bool is_alive = false;    // accepted, and not ended
  bool is_ended = false;    // or rejected
  bool is_concluded = false;
  bool is_cancelled = false;
  std::optional<int> conclude_at;  // once that many tokens are here
  int num_losses = 0;              // of workers, in the step they died of
};

// A worker process and the wire to it.
struct Process {
  Process(const core::WorkerLimits& limits, const ModelFaults& faults) : model(limits, faults) {}

  core::WorkerId id = 0;
  int index = 0;
  ModelWorker model;
  std::deque<SentStep> inbox;
  bool is_busy = false;
  bool is_dead = false;
  bool is_draining = false;
  Micros last_arrival = 0;  // a stream keeps its order
  // As the scheduler has it: who is in a slot, and by step sent and not yet
  // answered, whose rows are in it.
  std::map<int, uint64_t> slots;
  std::deque<std::set<uint64_t>> unanswered;
};

class CoreSimulation {
 public:
  explicit CoreSimulation(uint64_t seed) : random_(seed), world_(DrawWorld(random_)) {}

  SimulationReport Run();

 private:
  // Life of the world.
  void StartScheduler();
  void CountScheduler();
  void ReplaceScheduler();
  void StartWorker(int index);
  void EndWorker(const std::shared_ptr<Process>& process, bool with_notice);
  void Arrive();
  std::vector<TokenId> DrawPrompt();
  void SubmitNow(Client& client);
  void CancelNow(core::SequenceId id);

  // The wire.
  void Send(const core::Step& step);
  void StartNextStep(const std::shared_ptr<Process>& process);
  void Answer(const std::shared_ptr<Process>& process, const StepAnswer& answer, Micros took);

  // After each event: outputs to clients, invariants, new steps.
  void Settle();
  void Receive(const core::Outputs& out);
  void ReceiveEnd(const core::Finished& finished);
  void CheckEnd(const Client& client, const core::Finished& finished);
  void CheckIdle();
  void Require(bool condition, const std::string& rule) {
    if (!condition && report_.violation.empty()) report_.violation = rule;
  }

  Micros now() const { return clock_.now_us(); }
  Client& client(core::SequenceId id) { return clients_.at(id); }
  bool AllEnded() const { return num_ended_ == world_.num_requests; }
  int SmallestCapacity() const;

  Random random_;
  const World world_;
  Clock clock_;
  std::unique_ptr<core::Core> core_;
  std::map<core::WorkerId, std::shared_ptr<Process>> workers_;  // that the scheduler knows
  core::WorkerId last_worker_id_ = 0;
  std::map<core::SequenceId, Client> clients_;
  int num_arrived_ = 0;
  int num_ended_ = 0;
  bool faults_are_over_ = false;
  Micros tick_at_ = core::kNever;
  core::Step step_;
  core::Outputs out_;
  SimulationReport report_;
};

SimulationReport CoreSimulation::Run() {
  StartScheduler();
  for (int i = 0; i < world_.num_workers; ++i) StartWorker(i);
  clock_.After(0, [this] { Arrive(); });
  for (int i = 0; i < world_.num_scheduler_losses; ++i) {
    const Micros horizon = world_.mean_arrival_us * world_.num_requests;
    clock_.At(random_.Between(1, static_cast<int>(horizon)), [this] { ReplaceScheduler(); });
  }
  while (report_.violation.empty() && !AllEnded()) {
    if (!clock_.RunNext()) {
      Require(false, "stuck: nothing will happen, and a request has no end");
    } else if (++report_.num_events > kMaxEvents) {
      Require(false, "no end: events go on for ever");
    }
  }
  if (report_.violation.empty()) CheckIdle();
  report_.num_requests = num_arrived_;
  CountScheduler();
  return report_;
}

void CoreSimulation::CountScheduler() {
  const core::Counters& counters = core_->counters();
  report_.num_steps += counters.num_steps;
  report_.num_preemptions += counters.num_preemptions;
  report_.num_requeued += counters.num_requeued;
  report_.num_cached_tokens += counters.num_prompt_tokens_cached;
  report_.num_discarded_tokens += counters.num_discarded_tokens;
}

void CoreSimulation::StartScheduler() {
  core::Config config;
  config.max_waiting_sequences = random_.Chance(0.2) ? random_.Between(1, 20) : 1000;
  config.enable_prefix_cache = !random_.Chance(0.1);
  config.hash_key[0] = random_.Next();
  config.hash_key[1] = random_.Next();
  core_ = std::make_unique<core::Core>(config);
}

// The scheduler dies; the next one knows nothing. Workers attach anew, empty,
// and the gateways submit again what is open, with what its clients have.
void CoreSimulation::ReplaceScheduler() {
  ++report_.num_scheduler_losses;
  CountScheduler();
  for (auto& [id, process] : workers_) process->is_dead = true;
  workers_.clear();
  StartScheduler();
  for (int i = 0; i < world_.num_workers; ++i) StartWorker(i);
  for (auto& [id, client] : clients_) {
    if (client.is_alive) SubmitNow(client);
  }
}

void CoreSimulation::StartWorker(int index) {
  auto process = std::make_shared<Process>(world_.limits[index], world_.model_faults);
  process->id = ++last_worker_id_;
  process->index = index;
  workers_[process->id] = process;
  const absl::Status status = core_->Apply(
      core::WorkerJoined{.worker = process->id, .limits = world_.limits[index]}, now(), out_);
  Require(status.ok(), absl::StrCat("join refused: ", status.message()));
  Settle();
}

// Its process is gone, or says goodbye; the scheduler hears of it, and another
// comes in its place.
void CoreSimulation::EndWorker(const std::shared_ptr<Process>& process, bool with_notice) {
  if (process->is_dead) return;
  process->is_dead = true;
  const core::WorkerId id = process->id;
  // What it sent before arrives before its end does.
  const Micros silence = with_notice ? 0 : random_.Between(0, 20'000);
  clock_.At(std::max(process->last_arrival, now() + silence), [this, id] {
    const auto it = workers_.find(id);
    if (it == workers_.end()) return;  // the scheduler was replaced meanwhile
    const std::shared_ptr<Process> process = it->second;
    if (!process->unanswered.empty()) {
      ++report_.num_worker_losses;
      for (const uint64_t request : process->unanswered.front()) ++client(request).num_losses;
    }
    workers_.erase(it);
    core_->Apply(core::WorkerLost{.worker = id}, now(), out_);
    Settle();
    const int index = process->index;
    clock_.After(random_.Between(0, 100'000), [this, index] {
      // A scheduler that came meanwhile has got a new one already.
      for (const auto& [other_id, other] : workers_) {
        if (other->index == index) return;
      }
      StartWorker(index);
    });
  });
}

void CoreSimulation::Arrive() {
  std::vector<TokenId> prompt = DrawPrompt();
  if (random_.Chance(0.01)) prompt.push_back(world_.vocab_size);
  const std::string tenant = absl::StrCat("tenant", random_.Between(0, 2));
  const std::string salt = random_.Chance(0.2) ? "salt" : "";

  // Choices of one request: the same prompt, several times, at once.
  int num_choices = random_.Chance(0.3) ? random_.Between(2, 4) : 1;
  for (; num_choices > 0 && num_arrived_ < world_.num_requests; --num_choices) {
    const core::SequenceId id = ++num_arrived_;
    Client& client = clients_[id];
    core::Submit& submit = client.submit;
    submit.id = id;
    submit.tenant = tenant;
    submit.prompt = prompt;
    submit.cache_salt = salt;
    submit.max_tokens = random_.Between(1, random_.Chance(0.5) ? 30 : 150);
    submit.priority = random_.Between(0, 1);
    submit.sampling.seed = id;
    if (id % 5 == 0) submit.sampling.num_prompt_logprobs = 1;
    if (random_.Chance(0.5)) submit.sampling.min_tokens = random_.Between(0, 8);
    if (random_.Chance(0.7) && world_.vocab_size > 4) {
      submit.sampling.stop_token_ids = {random_.Between(0, world_.vocab_size - 1)};
    }
    if (random_.Chance(world_.deadline_chance)) {
      submit.deadline = now() + random_.Between(0, 400'000);
    }
    if (random_.Chance(world_.conclude_chance)) {
      client.conclude_at = random_.Between(1, submit.max_tokens);
    }
    if (random_.Chance(world_.cancel_chance)) {
      clock_.After(random_.Between(0, 200'000), [this, id] { CancelNow(id); });
    }
    SubmitNow(client);
  }
  if (num_arrived_ < world_.num_requests) {
    clock_.After(static_cast<Micros>(2 * random_.Unit() * world_.mean_arrival_us),
                 [this] { Arrive(); });
  } else {
    // From here on nothing breaks any more, and all must come to an end.
    clock_.After(100'000, [this] { faults_are_over_ = true; });
  }
}

// Mostly the start of something that others have sent too: a shared system
// prompt, the same blocks in another order, or an earlier request with its
// answer, which a conversation sends again.
std::vector<TokenId> CoreSimulation::DrawPrompt() {
  std::vector<TokenId> prompt;
  const double kind = random_.Unit();
  if (kind < 0.2 && num_arrived_ > 0) {
    const Client& earlier = client(random_.Between(1, num_arrived_));
    prompt = earlier.submit.prompt;
    prompt.insert(prompt.end(), earlier.received.begin(), earlier.received.end());
  } else if (kind < 0.4) {
    const std::vector<TokenId>& family = world_.prompt_families[0];
    const int num_blocks = static_cast<int>(family.size()) / core::kBlockTokens;
    for (int i = random_.Between(0, num_blocks); i > 0; --i) {
      const auto block = family.begin() + random_.Between(0, num_blocks - 1) * core::kBlockTokens;
      prompt.insert(prompt.end(), block, block + core::kBlockTokens);
    }
  } else {
    const int last_family = static_cast<int>(world_.prompt_families.size()) - 1;
    prompt = world_.prompt_families[random_.Between(0, last_family)];
    if (random_.Chance(0.3)) prompt.resize(random_.Between(0, static_cast<int>(prompt.size())));
  }
  for (int i = random_.Between(0, 40); i > 0; --i) {
    prompt.push_back(random_.Between(0, world_.vocab_size - 1));
  }
  return prompt;
}

void CoreSimulation::SubmitNow(Client& client) {
  core::Submit submit = client.submit;
  submit.delivered = client.received;
  client.is_alive = true;
  core_->Apply(std::move(submit), now(), out_);
  Settle();
}

void CoreSimulation::CancelNow(core::SequenceId id) {
  Client& client = this->client(id);
  const bool was_alive = client.is_alive;
  client.is_cancelled = true;
  core_->Apply(core::Cancel{.id = id}, now(), out_);
  Settle();
  Require(!was_alive || client.is_ended, absl::StrCat("cancel of ", id, " was lost"));
}

void CoreSimulation::Send(const core::Step& step) {
  const std::shared_ptr<Process> process = workers_.at(step.worker);
  Require(!process->is_draining, "a step for a draining worker");
  for (const core::SlotEntry& entry : step.entries) {
    process->slots[entry.slot] = entry.sampling->seed;
    const bool needs_all = entry.sampling->num_prompt_logprobs.has_value() &&
                           static_cast<int>(entry.tokens.size()) == entry.num_prompt_tokens;
    Require(!needs_all || entry.num_computed_tokens == 0,
            "a prompt whose logprobs are wanted is not computed whole");
  }
  std::set<uint64_t>& requests = process->unanswered.emplace_back();
  for (const core::StepRow& row : step.rows) requests.insert(process->slots.at(row.slot));
  process->last_arrival = std::max(process->last_arrival, now() + random_.Between(0, 200));
  clock_.At(process->last_arrival, [this, process, sent = SentStep(step)] {
    if (process->is_dead) return;
    process->inbox.push_back(sent);
    if (!process->is_busy) StartNextStep(process);
  });
}

void CoreSimulation::StartNextStep(const std::shared_ptr<Process>& process) {
  if (process->inbox.empty()) return;
  const std::optional<StepAnswer> answer = process->model.Execute(process->inbox.front());
  process->inbox.pop_front();
  Require(process->model.violation().empty(), process->model.violation());
  if (!answer.has_value() || (!faults_are_over_ && random_.Chance(world_.loss_chance))) {
    EndWorker(process, /*with_notice=*/false);
    return;
  }
  if (!faults_are_over_ && !process->is_draining && random_.Chance(world_.drain_chance)) {
    const core::WorkerId id = process->id;
    clock_.After(0, [this, process, id] {
      if (process->is_draining || !workers_.contains(id)) return;
      process->is_draining = true;
      core_->Apply(core::WorkerDraining{.worker = id}, now(), out_);
      Settle();
      if (process->unanswered.empty()) EndWorker(process, /*with_notice=*/true);
    });
  }
  const double seconds = StepSeconds(*FindGpu("H200"), Qwen2_1_5B(), answer->load);
  Micros duration = static_cast<Micros>(1e6 * seconds * (0.8 + 0.4 * random_.Unit()));
  if (random_.Chance(world_.slow_chance)) duration *= random_.Between(2, 50);
  process->is_busy = true;
  clock_.After(duration, [this, process, duration, answer = *answer] {
    process->is_busy = false;
    if (process->is_dead) return;
    process->last_arrival = std::max(process->last_arrival, now() + random_.Between(0, 200));
    clock_.At(process->last_arrival,
              [this, process, duration, answer] { Answer(process, answer, duration); });
    StartNextStep(process);
  });
}

void CoreSimulation::Answer(const std::shared_ptr<Process>& process, const StepAnswer& answer,
                            Micros took) {
  // An answer may come after the end of its worker, or of the scheduler it was for.
  const bool is_known = workers_.contains(process->id);
  if (is_known) process->unanswered.pop_front();
  const absl::Status status = core_->Apply(core::StepDone{.worker = process->id,
                                                          .step_id = answer.step_id,
                                                          .rows = answer.rows,
                                                          .tokens = answer.tokens,
                                                          .took = took},
                                           now(), out_);
  Require(status.ok(), absl::StrCat("answer refused: ", status.message()));
  Require(is_known || (out_.tokens.empty() && out_.finished.empty()),
          "an answer of a lost worker counted");
  // As a gateway does: what it knows already comes again, but nothing is left out.
  for (const core::PromptRowOut& out : out_.prompt_rows) {
    Client& client = this->client(out.id);
    Require(answer.requests[out.row] == out.id, "prompt logprobs of another request");
    Require(answer.begins[out.row] <= client.num_prompt_told, "prompt logprobs left out");
    client.num_prompt_told = std::max(client.num_prompt_told, answer.ends[out.row]);
    ++report_.num_prompt_rows;
  }
  Settle();
  if (is_known && process->is_draining && process->unanswered.empty()) {
    EndWorker(process, /*with_notice=*/true);
  }
}

void CoreSimulation::Settle() {
  const core::Outputs out = std::exchange(out_, {});
  Receive(out);
  while (report_.violation.empty() && core_->Plan(now(), step_)) {
    Send(step_);
  }
  const absl::Status status = core_->CheckInvariants();
  Require(status.ok(), std::string(status.message()));
  const core::Gauges gauges = core_->gauges();
  report_.num_parked_seen += gauges.num_waiting_prefix > 0;
  report_.num_owed_seen += gauges.num_waiting_owed > 0;
  // Such moments are short: let more than chance fall into them.
  if ((gauges.num_waiting_owed > 0 || gauges.num_waiting_prefix > 0) &&
      random_.Chance(0.1 * world_.cancel_chance)) {
    const core::SequenceId id = random_.Between(std::max(1, num_arrived_ - 10), num_arrived_);
    clock_.After(0, [this, id] { CancelNow(id); });
  }

  if (core_->next_deadline() < tick_at_) {
    tick_at_ = core_->next_deadline();
    clock_.At(tick_at_, [this] {
      tick_at_ = core::kNever;
      core_->Apply(core::Tick{}, now(), out_);
      Settle();
    });
  }

  // A stop string shows up in what has been received.
  for (const core::TokensOut& tokens : out.tokens) {
    Client& client = this->client(tokens.id);
    if (!client.is_alive || !client.conclude_at.has_value()) continue;
    if (static_cast<int>(client.received.size()) < *client.conclude_at) continue;
    client.is_concluded = true;
    core_->Apply(core::Conclude{.id = tokens.id, .num_tokens = *client.conclude_at}, now(), out_);
    Settle();
    Require(client.is_ended, absl::StrCat("conclude of ", tokens.id, " was lost"));
  }
}

void CoreSimulation::Receive(const core::Outputs& out) {
  for (const core::TokensOut& tokens : out.tokens) {
    Client& client = this->client(tokens.id);
    Require(client.is_alive, absl::StrCat("tokens for ", tokens.id, ", which has ended"));
    Require(tokens.first_index == static_cast<int>(client.received.size()),
            absl::StrCat("stream ", tokens.id, " is not contiguous: index ", tokens.first_index,
                         " after ", client.received.size(), " tokens"));
    Require(!client.submit.sampling.num_prompt_logprobs.has_value() ||
                client.num_prompt_told >= static_cast<int>(client.submit.prompt.size()),
            absl::StrCat("stream ", tokens.id, " got a token before its prompt's logprobs"));
    for (const TokenId token : out.Ids(tokens)) {
      const int index = static_cast<int>(client.received.size());
      Require(token == ExpectedToken(client.submit.sampling, index, world_.vocab_size),
              absl::StrCat("stream ", tokens.id, " got a wrong token at ", index));
      client.received.push_back(token);
    }
    Require(static_cast<int>(client.received.size()) <= client.submit.max_tokens,
            absl::StrCat("stream ", tokens.id, " is longer than max_tokens"));
  }
  for (const core::Finished& finished : out.finished) ReceiveEnd(finished);
  for (const core::Rejected& rejected : out.rejected) {
    Client& client = this->client(rejected.id);
    Require(client.is_alive && client.received.empty(),
            absl::StrCat(rejected.id, " was rejected after it was accepted"));
    Require(rejected.code != core::RejectCode::kNoWorker, "rejected for lack of a worker");
    Require((rejected.retry_after > 0) == (rejected.code == core::RejectCode::kQueueFull),
            "retry_after does not fit the code");
    client.is_alive = false;
    client.is_ended = true;
    ++num_ended_;
  }
}

void CoreSimulation::ReceiveEnd(const core::Finished& finished) {
  Client& client = this->client(finished.id);
  Require(client.is_alive, absl::StrCat(finished.id, " ended twice"));
  CheckEnd(client, finished);
  client.is_alive = false;
  client.is_ended = true;
  ++num_ended_;
  ++report_.num_ends[static_cast<int>(finished.reason)];
}

// The end has a cause that the client, or the world, knows of.
void CoreSimulation::CheckEnd(const Client& client, const core::Finished& finished) {
  const auto require = [&](bool condition, const char* rule) {
    Require(condition, absl::StrCat("end of ", finished.id, ": ", rule, "; ", finished.message));
  };
  const SamplingParams& sampling = client.submit.sampling;
  const int num_received = static_cast<int>(client.received.size());
  const auto stop_at = std::find_if(
      client.received.begin(), client.received.end(), [&, index = 0](TokenId token) mutable {
        return index++ >= sampling.min_tokens && !sampling.stop_token_ids.empty() &&
               token == sampling.stop_token_ids[0];
      });
  const bool has_stop = stop_at != client.received.end();
  require(!has_stop || stop_at == client.received.end() - 1, "tokens behind a stop token");
  require(!has_stop || finished.reason == FinishReason::kStop, "a stop token came");

  const int num_known = static_cast<int>(client.submit.prompt.size()) + num_received;
  switch (finished.reason) {
    case FinishReason::kStop:
      require(client.is_concluded || has_stop, "nothing stopped it");
      if (!client.is_concluded && has_stop) {
        require(finished.stop_token == client.received.back(), "another stop token");
      }
      break;
    case FinishReason::kLength:
      require(num_received == client.submit.max_tokens || num_known >= SmallestCapacity(),
              "neither max_tokens nor the context is reached");
      break;
    case FinishReason::kCancelled:
      require(client.is_cancelled, "nobody cancelled it");
      break;
    case FinishReason::kTimeout:
      require(client.submit.deadline <= now(), "its deadline is not reached");
      break;
    case FinishReason::kError:
      if (absl::StrContains(finished.message, "not a number")) {
        ++report_.num_errors_by_value;
        require(world_.model_faults.poisoned_requests.contains(finished.id),
                "it computes nothing wrong");
      } else if (absl::StrContains(finished.message, "exceeds")) {
        require(num_known >= SmallestCapacity(), "it fits");
      } else {
        ++report_.num_errors_by_loss;
        require(client.num_losses >= 2, "it was not there when two workers died");
        require(world_.loss_chance > 0 || world_.model_faults.killer_requests.contains(finished.id),
                "another request killed those workers");
      }
      break;
  }
  if (!client.is_concluded) {
    require(finished.num_output_tokens == num_received, "it counts other tokens");
  }
}

int CoreSimulation::SmallestCapacity() const {
  int smallest = 1 << 30;
  for (const core::WorkerLimits& limits : world_.limits) {
    smallest =
        std::min({smallest, limits.max_context_tokens, limits.num_blocks * core::kBlockTokens});
  }
  return smallest;
}

void CoreSimulation::CheckIdle() {
  const core::Gauges gauges = core_->gauges();
  Require(gauges.num_running == 0 && gauges.num_waiting() == 0, "idle, yet somebody is there");
  Require(gauges.num_blocks_used == 0, "idle, yet blocks are in use");
  Require(gauges.num_blocks_cached + gauges.num_blocks_free == gauges.num_blocks_total,
          "blocks are missing");
  const core::Counters& counters = core_->counters();
  Require(counters.num_accepted ==
              counters.num_completed + counters.num_failed + counters.num_cancelled,
          "accepted is not completed + failed + cancelled");
}

}  // namespace

void SimulationReport::Add(const SimulationReport& other) {
  if (violation.empty()) violation = other.violation;
  num_events += other.num_events;
  num_requests += other.num_requests;
  num_worker_losses += other.num_worker_losses;
  num_scheduler_losses += other.num_scheduler_losses;
  num_parked_seen += other.num_parked_seen;
  num_owed_seen += other.num_owed_seen;
  for (int i = 0; i < 5; ++i) num_ends[i] += other.num_ends[i];
  num_errors_by_value += other.num_errors_by_value;
  num_errors_by_loss += other.num_errors_by_loss;
  num_steps += other.num_steps;
  num_preemptions += other.num_preemptions;
  num_requeued += other.num_requeued;
  num_cached_tokens += other.num_cached_tokens;
  num_discarded_tokens += other.num_discarded_tokens;
  num_prompt_rows += other.num_prompt_rows;
}

SimulationReport SimulateCore(uint64_t seed) { return CoreSimulation(seed).Run(); }

}  // namespace weft::sim
