#include "sim/faults/fault_simulation.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sim/faults/fault_client.h"
#include "sim/faults/fault_world.h"
#include "sim/faults/gateway_process.h"
#include "sim/faults/scheduler_process.h"
#include "sim/faults/worker_process.h"

namespace weft::sim {
namespace {

using std::chrono::microseconds;

constexpr int64_t kLeastEvents = 2'000;
constexpr int64_t kLeastFaults = 3;
// More than any healthy history has: if it is reached, something spins.
constexpr int64_t kMostEvents = 400'000;
// Clients that come once nothing breaks any more.
constexpr int kQuietRequests = 20;
// A lease, by which a leader that is stopped is leader no more.
constexpr Micros kLease = 3'000'000;
// Behind the last end: what is still on its way arrives, whoever is lost is noticed.
constexpr Micros kSettleTime = 12'000'000;
// By then the scheduler has heard what a client has said, if nothing is broken.
constexpr Micros kHeard = 2'000;

class FaultSimulation {
 public:
  explicit FaultSimulation(uint64_t seed) : random_(seed), world_(DrawFaultWorld(random_)) {}

  FaultReport Run();

 private:
  // The last phase shows that nothing has been left behind: no fault, and new clients.
  enum class Phase { kFaults, kSettling, kQuiet, kOver };
  void Continue();

  void Arrive();
  void SubmitChoice(int place, std::shared_ptr<const std::vector<TokenId>> prompt);
  void Cancel(const std::shared_ptr<FaultClient>& client);
  void HearSoon();
  void CheckHeard();

  // Schedulers: two addresses, at one of which leads who was elected last.
  static constexpr int kNumSchedulers = 2;
  void Lead(int scheduler);
  void ElectAfter(Micros delay);
  void LoseLeader();
  template <typename L>
  void Dialled(int scheduler, const std::shared_ptr<L>& link);

  void StartGateway(int place);
  void ScheduleFault();
  // False: there was nothing to break.
  bool Fault();
  bool CrashGateway(int place);
  bool CrashLeader();
  bool StopLeader(Micros duration);
  bool DrainLeader();
  bool HandOver();
  bool AilWorker(WorkerProcess& worker);

  bool HasEnough() const;
  int64_t num_clients() const { return static_cast<int64_t>(clients_.size()); }
  int64_t num_open() const { return num_clients() - around_.num_over; }
  void CheckRest();
  void Require(bool condition, const std::string& rule) {
    if (!condition && report_.violation.empty()) report_.violation = rule;
  }
  Micros now() const { return clock_.now_us(); }
  Micros Draw(Micros low, Micros high) {
    return low + static_cast<Micros>(random_.Unit() * static_cast<double>(high - low));
  }

  Random random_;
  const FaultWorld world_;
  Clock clock_;
  FaultReport report_;
  Surroundings around_{.world = world_,
                       .clock = clock_,
                       .report = report_,
                       .require = [this](bool c, const std::string& r) { Require(c, r); }};
  Environment env_{
      .clock = clock_,
      .random = random_,
      .require = [this](bool condition, const std::string& rule) { Require(condition, rule); },
      .dial_gateway = [this](int s, std::shared_ptr<GatewayLink> link) { Dialled(s, link); },
      .dial_worker = [this](int s, std::shared_ptr<WorkerLink> link) { Dialled(s, link); }};
  Phase phase_ = Phase::kFaults;
  Micros settled_at_ = core::kNever;
  std::vector<std::shared_ptr<Process>> all_;  // the dead, too: events may still name them

  std::shared_ptr<SchedulerProcess> leader_;  // null between two
  int leader_number_ = 0;
  // Who is there, leader or not. Null: somebody who stands by.
  std::shared_ptr<SchedulerProcess> schedulers_[kNumSchedulers];
  bool is_down_[kNumSchedulers] = {};  // nobody is

  std::vector<std::shared_ptr<GatewayProcess>> gateways_;  // by place
  std::vector<int> gateway_numbers_;                       // by place
  int num_gateways_ever_ = 0;
  std::vector<std::shared_ptr<WorkerProcess>> workers_;
  std::vector<int> quiet_attachments_;  // by worker, as the last phase began
  std::vector<std::shared_ptr<FaultClient>> clients_;
  Micros said_at_ = 0;  // when a client last cancelled or concluded
};

// ---- clients ----

void FaultSimulation::Arrive() {
  if (phase_ == Phase::kFaults && HasEnough()) return Continue();
  if (phase_ == Phase::kQuiet && num_clients() >= report_.num_requests + kQuietRequests) return;
  clock_.After(Draw(0, 2 * world_.mean_arrival), [this] { Arrive(); });
  if (num_open() >= world_.max_open_requests) return;

  const int num_choices = random_.Chance(0.2) ? random_.Between(2, 3) : 1;
  const int place = random_.Between(0, world_.num_gateways - 1);
  std::vector<TokenId> prompt;
  if (random_.Chance(0.6)) prompt = world_.shared_prompt;
  for (int i = random_.Between(1, 40); i > 0; --i) {
    prompt.push_back(random_.Between(0, world_.vocab_size - 1));
  }
  const auto shared = std::make_shared<const std::vector<TokenId>>(std::move(prompt));
  for (int i = 0; i < num_choices; ++i) SubmitChoice(place, shared);
}

void FaultSimulation::SubmitChoice(int place, std::shared_ptr<const std::vector<TokenId>> prompt) {
  const auto client = std::make_shared<FaultClient>(around_, clients_.size() + 1);
  clients_.push_back(client);
  client->gateway = gateway_numbers_[place];
  client->on_conclude = [this] { HearSoon(); };
  gateway::Submission& submission = client->submission;
  SamplingParams& sampling = submission.sampling;
  submission.tenant = absl::StrCat("tenant", random_.Between(0, 2));
  submission.prompt = std::move(prompt);
  submission.max_tokens = random_.Between(1, random_.Chance(0.3) ? 30 : 150);
  submission.priority = random_.Between(0, 1);
  sampling.seed = client->id;
  if (random_.Chance(0.5)) {
    sampling.min_tokens = std::min(random_.Between(0, 8), submission.max_tokens);
  }
  if (random_.Chance(0.7) && world_.vocab_size > 4) {
    sampling.stop_token_ids = {random_.Between(0, world_.vocab_size - 1)};
  }
  if (random_.Chance(0.2)) sampling.num_logprobs = 0;
  if (random_.Chance(0.2)) sampling.num_prompt_logprobs = 0;
  if (random_.Chance(world_.deadline)) {
    submission.deadline = gateways_[place]->time() + microseconds(Draw(1000, 5'000'000));
  }
  if (random_.Chance(world_.conclude)) {
    client->conclude_at = random_.Between(1, submission.max_tokens);
  }
  if (random_.Chance(world_.cancel)) {
    clock_.After(Draw(0, phase_ == Phase::kQuiet ? 200'000 : 1'000'000),
                 [this, client] { Cancel(client); });
  }
  gateways_[place]->Open(client->id, submission, client);
}

void FaultSimulation::Cancel(const std::shared_ptr<FaultClient>& client) {
  if (client->is_over) return;
  for (int place = 0; place < world_.num_gateways; ++place) {
    if (gateway_numbers_[place] != client->gateway) continue;
    gateways_[place]->Cancel(client->id, [this, client] {
      if (client->is_over) return;
      client->Leave(report_.num_cancelled);
      HearSoon();
    });
  }
}

void FaultSimulation::HearSoon() {
  said_at_ = now();
  if (phase_ != Phase::kQuiet) return;
  clock_.After(kHeard, [this] { CheckHeard(); });
}

// What a client wants no more is not computed any longer.
void FaultSimulation::CheckHeard() {
  if (now() < said_at_ + kHeard) return;  // another has said something since
  const int64_t num_waiting = std::count_if(clients_.begin(), clients_.end(),
                                            [](const auto& c) { return c->is_waiting(); });
  const core::Gauges gauges = leader_->core().gauges();
  Require(gauges.num_running + gauges.num_waiting() <= num_waiting,
          absl::StrCat(num_waiting, " clients wait, and ", gauges.num_running,
                       " sequences run and ", gauges.num_waiting(), " wait"));
}

// ---- schedulers ----

void FaultSimulation::Lead(int scheduler) {
  scheduler::GroupOptions options = world_.group;
  options.core.hash_key[0] = random_.Next();
  options.core.hash_key[1] = random_.Next();
  options.epoch = ++around_.term;
  leader_number_ = scheduler;
  leader_ = std::make_shared<SchedulerProcess>(env_, options, world_.max_outbox_bytes);
  schedulers_[scheduler] = leader_;
  all_.push_back(leader_);
}

void FaultSimulation::ElectAfter(Micros delay) {
  clock_.After(delay, [this, term = around_.term] {
    if (around_.term != term) return;  // another has won meanwhile
    int winner = 1 - leader_number_;
    if (is_down_[winner] || schedulers_[winner]) winner = leader_number_;
    if (is_down_[winner] || schedulers_[winner]) return ElectAfter(100'000);
    ++report_.num_leader_changes;
    Lead(winner);
  });
}

// It leads no more; whether it knows that or not.
void FaultSimulation::LoseLeader() {
  const core::Counters& counters = leader_->core().counters();
  report_.num_preemptions += counters.num_preemptions;
  report_.num_requeued += counters.num_requeued;
  report_.num_steps += counters.num_steps;
  leader_ = nullptr;
}

// Who stands by names the leader; where nobody is, the dial fails.
template <typename L>
void FaultSimulation::Dialled(int scheduler, const std::shared_ptr<L>& link) {
  link->on_up = [](const auto&) {};
  link->on_server_end = [](bool) {};
  if (is_down_[scheduler]) {
    link->Break();
    return;
  }
  if (schedulers_[scheduler]) return schedulers_[scheduler]->Accept(link);
  using Frame =
      std::conditional_t<std::is_same_v<L, GatewayLink>, v1::SchedulerFrame, v1::WorkerCommand>;
  Frame frame;
  frame.mutable_not_leader()->set_address(leader_ ? absl::StrCat(leader_number_) : "");
  link->SendDown(std::move(frame));
  link->CloseByServer();
}

// ---- faults ----

void FaultSimulation::StartGateway(int place) {
  gateway_numbers_[place] = ++num_gateways_ever_;
  gateways_[place] =
      std::make_shared<GatewayProcess>(env_, absl::StrCat("gateway ", num_gateways_ever_),
                                       kNumSchedulers, world_.consume_time, world_.recovery_wait);
  all_.push_back(gateways_[place]);
  gateways_[place]->Start();
}

bool FaultSimulation::CrashGateway(int place) {
  gateways_[place]->Crash();
  for (const auto& client : clients_) {
    if (client->gateway != gateway_numbers_[place] || client->is_over) continue;
    client->Leave(report_.num_reset);
  }
  StartGateway(place);
  return true;
}

bool FaultSimulation::CrashLeader() {
  if (!leader_) return false;
  leader_->Crash();
  LoseLeader();
  const int number = leader_number_;
  schedulers_[number] = nullptr;
  is_down_[number] = true;
  clock_.After(Draw(200'000, 3'000'000), [this, number] { is_down_[number] = false; });
  ElectAfter(Draw(50'000, kLease));
  return true;
}

// Beyond its lease another leads meanwhile. When it goes on, it speaks as if it led until
// it looks at its lease again; then its process ends, and another stands by in its place.
bool FaultSimulation::StopLeader(Micros duration) {
  if (!leader_ || leader_->is_stopped()) return false;
  const std::shared_ptr<SchedulerProcess> old = leader_;
  const int number = leader_number_;
  if (duration < kLease) {
    old->Stop(duration);
    return true;
  }
  old->Stop(duration, [this, old, number] {
    clock_.After(Draw(0, random_.Chance(0.5) ? 1'000 : 500'000), [this, old, number] {
      old->Crash();
      if (schedulers_[number] == old) schedulers_[number] = nullptr;
    });
  });
  clock_.After(kLease, [this, old] {
    if (leader_ != old) return;
    LoseLeader();
    ElectAfter(1000);
  });
  return true;
}

// As when another version takes its place.
bool FaultSimulation::DrainLeader() {
  if (!leader_ || leader_->is_stopped()) return false;
  leader_->Drain([this, old = leader_] {
    clock_.After(Draw(0, 1'000), [this, old] {
      if (leader_ == old) CrashLeader();
    });
  });
  return true;
}

// The same where another stands by: that one leads first, and the old one goes on until it has
// seen that.
bool FaultSimulation::HandOver() {
  const int number = leader_number_, next = 1 - number;
  if (!leader_ || leader_->is_stopped() || is_down_[next] || schedulers_[next]) return false;
  const std::shared_ptr<SchedulerProcess> old = leader_;
  LoseLeader();
  ++report_.num_leader_changes;
  Lead(next);
  const Micros noticed_after = Draw(0, 100'000);
  clock_.After(noticed_after, [this, old, number, next] {
    schedulers_[number] = nullptr;
    old->HandOver(absl::StrCat(next));
  });
  clock_.After(noticed_after + Draw(0, 2'000'000), [old] { old->Crash(); });
  return true;
}

bool FaultSimulation::AilWorker(WorkerProcess& worker) {
  if (!worker.is_welcomed()) return false;
  worker.Ail(random_.Chance(0.5) ? WorkerProcess::Ailment::kFails : WorkerProcess::Ailment::kHangs);
  return true;
}

// The more there have been the rarer they become: else there are worlds that never come as far
// as to need a preemption.
void FaultSimulation::ScheduleFault() {
  const Micros mean = world_.mean_fault * (1 + report_.num_faults() / 50);
  clock_.After(Draw(0, 2 * mean), [this] {
    if (phase_ != Phase::kFaults) return;
    Fault();
    ScheduleFault();
  });
}

bool FaultSimulation::Fault() {
  const int place = random_.Between(0, world_.num_gateways - 1);
  GatewayProcess& gateway = *gateways_[place];
  WorkerProcess& worker = *workers_[random_.Between(0, world_.num_workers - 1)];
  Process* const processes[] = {&gateway, &worker, leader_.get()};
  // Some are over before anybody notices, others are not.
  const Micros duration = random_.Chance(0.7) ? Draw(1000, 300'000) : Draw(300'000, 8'000'000);
  const auto count = [](int64_t& counter, bool has_happened) {
    counter += has_happened;
    return has_happened;
  };
  const auto stop = [&](Process& process) {
    const bool was_stopped = process.is_stopped();
    process.Stop(duration);
    return !was_stopped;
  };
  switch (random_.Between(0, 17)) {
    case 0:
      return count(report_.num_crashes, CrashGateway(place));
    case 1:
    case 2:
      return count(report_.num_crashes, !worker.is_stopped() && worker.Crash());
    case 3:
    case 4:
      return count(report_.num_crashes, CrashLeader());
    case 5:
      return count(report_.num_stops, stop(gateway));
    case 6:
      return count(report_.num_stops, stop(worker));
    case 7:
    case 8:
      return count(report_.num_stops, StopLeader(duration));
    case 9:
      return count(report_.num_broken_links, gateway.link() && gateway.link()->Break());
    case 10:
      return count(report_.num_broken_links, worker.link() && worker.link()->Break());
    case 11:
      return count(report_.num_silent_links, gateway.link() && gateway.link()->Silence(duration));
    case 12:
      return count(report_.num_silent_links, worker.link() && worker.link()->Silence(duration));
    case 13: {
      Process* const process = processes[random_.Between(0, 2)];
      if (process == nullptr) return false;
      process->Jump(duration);
      return count(report_.num_clock_jumps, true);
    }
    case 14:
      return count(report_.num_ailments, AilWorker(worker));
    case 15:
      return count(report_.num_drains, DrainLeader());
    case 16:
      return count(report_.num_handovers, HandOver());
    default:
      return count(report_.num_leaves, !worker.is_stopped() && worker.Leave());
  }
}

// ---- the whole ----

bool FaultSimulation::HasEnough() const {
  const int64_t num_preemptions =
      report_.num_preemptions + (leader_ ? leader_->core().counters().num_preemptions : 0);
  return num_clients() >= world_.num_requests && report_.num_events >= kLeastEvents &&
         report_.num_faults() >= kLeastFaults && num_preemptions > 0;
}

// To the next phase.
void FaultSimulation::Continue() {
  switch (phase_) {
    case Phase::kFaults:
      phase_ = Phase::kSettling;
      for (const auto& worker : workers_) worker->Ail(WorkerProcess::Ailment::kNone);
      return;
    case Phase::kSettling:
      CheckRest();
      phase_ = Phase::kQuiet;
      around_.is_quiet = true;
      report_.num_requests = num_clients();
      for (const auto& worker : workers_) quiet_attachments_.push_back(worker->num_attachments());
      return Arrive();
    case Phase::kQuiet:
      for (int i = 0; i < world_.num_workers; ++i) {
        Require(workers_[i]->num_attachments() == quiet_attachments_[i],
                "a worker was lost though nothing broke");
      }
      CheckRest();
      phase_ = Phase::kOver;
      return;
    case Phase::kOver:
      return;
  }
}

FaultReport FaultSimulation::Run() {
  Lead(0);
  for (int i = 0; i < world_.num_workers; ++i) {
    workers_.push_back(std::make_shared<WorkerProcess>(
        env_, i, world_.limits[i], world_.model_faults, kNumSchedulers, world_.slow));
    all_.push_back(workers_.back());
    workers_.back()->Start();
  }
  gateways_.resize(world_.num_gateways);
  gateway_numbers_.resize(world_.num_gateways);
  for (int place = 0; place < world_.num_gateways; ++place) StartGateway(place);
  // Gateways take requests once they know of a worker.
  clock_.At(500'000, [this] { Arrive(); });
  clock_.At(500'000, [this] { ScheduleFault(); });

  while (report_.violation.empty() && phase_ != Phase::kOver) {
    clock_.RunNext();  // heartbeats never end
    if (++report_.num_events > kMostEvents) Require(false, "no end: events go on for ever");
    const bool has_ended = num_open() == 0 && phase_ != Phase::kFaults &&
                           num_clients() >= report_.num_requests + (phase_ == Phase::kQuiet);
    if (!has_ended) {
      settled_at_ = core::kNever;
    } else if (settled_at_ == core::kNever) {
      settled_at_ = now() + kSettleTime;
    } else if (now() >= settled_at_) {
      settled_at_ = core::kNever;
      Continue();
    }
  }
  if (leader_) LoseLeader();
  report_.num_requests = num_clients();
  return report_;
}

void FaultSimulation::CheckRest() {
  for (const auto& gateway : gateways_) {
    Require(gateway->num_open() == 0, "a gateway holds what is over");
  }
  Require(leader_ != nullptr && !leader_->is_stopped(), "nobody leads");
  if (!leader_) return;
  const core::Gauges gauges = leader_->core().gauges();
  Require(gauges.num_running == 0 && gauges.num_waiting() == 0,
          absl::StrCat("at rest, yet ", gauges.num_running, " run and ", gauges.num_waiting(),
                       " wait"));
  Require(gauges.num_workers_ready == world_.num_workers, "at rest, and a worker is missing");
  Require(gauges.num_workers_draining == 0, "at rest, and a worker that left is there");
  Require(gauges.num_blocks_used == 0, "at rest, yet blocks are in use");
  Require(gauges.num_blocks_cached + gauges.num_blocks_free == gauges.num_blocks_total,
          "blocks are missing");
  const core::Counters& counters = leader_->core().counters();
  Require(counters.num_accepted ==
              counters.num_completed + counters.num_failed + counters.num_cancelled,
          "accepted is not completed + failed + cancelled");
  Require(report_.num_completed + report_.num_failed + report_.num_cancelled + report_.num_reset +
                  report_.num_rejected ==
              num_clients(),
          "clients' ends do not add up");
}

}  // namespace

void FaultReport::Add(const FaultReport& other) {
  if (violation.empty()) violation = other.violation;
  for (auto count : {&FaultReport::num_events,         &FaultReport::num_requests,
                     &FaultReport::num_crashes,        &FaultReport::num_stops,
                     &FaultReport::num_broken_links,   &FaultReport::num_silent_links,
                     &FaultReport::num_ailments,       &FaultReport::num_clock_jumps,
                     &FaultReport::num_leader_changes, &FaultReport::num_leaves,
                     &FaultReport::num_drains,         &FaultReport::num_handovers,
                     &FaultReport::num_completed,      &FaultReport::num_failed,
                     &FaultReport::num_cancelled,      &FaultReport::num_reset,
                     &FaultReport::num_rejected,       &FaultReport::num_continued,
                     &FaultReport::num_preemptions,    &FaultReport::num_requeued,
                     &FaultReport::num_steps}) {
    this->*count += other.*count;
  }
}

FaultReport SimulateFaults(uint64_t seed) { return FaultSimulation(seed).Run(); }

}  // namespace weft::sim
