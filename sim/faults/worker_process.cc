#include "sim/faults/worker_process.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/rpc/step_codec.h"

namespace weft::sim {
namespace {

constexpr Micros kHeartbeat = 500'000;

SentStep StepOf(const worker::StepCommand& command) {
  SentStep step;
  step.step_id = command.step_id;
  step.released_slots = command.released_slots;
  for (const worker::SlotEntry& entry : command.entries) {
    step.entries.push_back({.slot = entry.slot,
                            .tokens = entry.tokens,
                            .num_prompt_tokens = entry.num_prompt_tokens,
                            .num_computed_tokens = entry.num_computed_tokens,
                            .blocks = entry.blocks,
                            .sampling = entry.sampling});
  }
  for (const worker::StepRow& row : command.rows) {
    step.rows.push_back({.slot = row.slot,
                         .num_tokens = row.num_tokens,
                         .num_new_blocks = static_cast<int>(row.new_blocks.size())});
    step.new_blocks.insert(step.new_blocks.end(), row.new_blocks.begin(), row.new_blocks.end());
  }
  return step;
}

worker::StepResult ResultOf(const StepAnswer& answer, Micros took) {
  worker::StepResult result{.step_id = answer.step_id, .rows = {}, .forward_us = took};
  auto token = answer.tokens.begin();
  for (size_t i = 0; i < answer.rows.size(); ++i) {
    const core::RowResult& row = answer.rows[i];
    const uint64_t request = answer.requests[i];
    worker::RowResult& one = result.rows.emplace_back();
    one.status = row.status == core::RowStatus::kNonFinite ? worker::RowStatus::kNonFinite
                                                           : worker::RowStatus::kOk;
    for (int n = 0; n < row.num_tokens; ++n) {
      one.tokens.push_back(*token++);
      if (!answer.wants_logprob[i]) continue;
      one.logprobs.push_back({.logprob = ExpectedLogprob(request, answer.output_indexes[i]),
                              .top_tokens = {},
                              .top_logprobs = {}});
    }
    worker::PromptLogprobs& prompt = one.prompt_logprobs;
    prompt.first_position = answer.begins[i] + 1;
    for (int n = 0; n < answer.num_prompt_logprobs[i]; ++n) {
      prompt.logprobs.push_back(ExpectedPromptLogprob(request, prompt.first_position + n));
      prompt.ranks.push_back(1);
    }
  }
  return result;
}

worker::BackendLimits BackendLimitsOf(const core::WorkerLimits& limits) {
  return {.num_blocks = limits.num_blocks,
          .block_tokens = limits.block_tokens,
          .max_rows = limits.max_rows,
          .max_step_tokens = limits.max_step_tokens,
          .max_steps_in_flight = limits.max_steps_in_flight,
          .max_context_tokens = limits.max_context_tokens,
          .vocab_size = limits.vocab_size};
}

}  // namespace

WorkerProcess::WorkerProcess(Environment& environment, int index, const core::WorkerLimits& limits,
                             const ModelFaults& faults, int num_schedulers, double slow_chance)
    : Process(environment),
      index_(index),
      limits_(limits),
      faults_(faults),
      num_schedulers_(num_schedulers),
      slow_chance_(slow_chance) {}

bool WorkerProcess::Crash() {
  const auto link = link_;
  if (!link) return false;
  Detach();
  link->Break();
  env_.clock.After(env_.random.Between(10'000, 1'000'000),
                   [self = shared_from_this()] { self->Post([self] { self->Dial(); }); });
  return true;
}

bool WorkerProcess::Leave() {
  if (!is_welcomed_) return false;
  v1::WorkerFrame frame;
  frame.mutable_leaving();
  Send(std::move(frame));
  return true;
}

// As after construction: no stream, no steps, an empty device.
void WorkerProcess::Detach() {
  ++attachment_;
  link_.reset();
  model_.reset();
  inbox_.clear();
  is_welcomed_ = is_busy_ = false;
  ailment_ = Ailment::kNone;
}

void WorkerProcess::Dial() {
  if (link_) return;
  model_ = std::make_unique<ModelWorker>(limits_, faults_);
  link_ = std::make_shared<WorkerLink>(env_.clock, env_.random);
  const auto self = shared_from_this();
  link_->on_down = [self, link = link_.get()](const v1::WorkerCommand& command) {
    self->Post([self, link, command] {
      if (self->link_.get() == link) self->OnCommand(command);
    });
  };
  link_->on_client_end = [self, link = link_.get()] {
    self->Post([self, link] {
      if (self->link_.get() == link) self->OnLinkEnd();
    });
  };
  const int scheduler = next_scheduler_;
  next_scheduler_ = (scheduler + 1) % num_schedulers_;
  env_.dial_worker(scheduler, link_);
  v1::WorkerFrame frame;
  v1::WorkerHello& hello = *frame.mutable_hello();
  hello.set_worker_id(absl::StrCat("worker ", index_));
  hello.set_fingerprint("model=simulated");
  worker::ToProto(BackendLimitsOf(limits_), *hello.mutable_limits());
  link_->SendUp(std::move(frame));
}

void WorkerProcess::OnLinkEnd() {
  Detach();
  env_.clock.After(env_.random.Between(50'000, 200'000),
                   [self = shared_from_this()] { self->Post([self] { self->Dial(); }); });
}

void WorkerProcess::Send(v1::WorkerFrame frame) {
  frame.set_epoch(epoch_);
  if (link_) link_->SendUp(std::move(frame));
}

// As worker/rpc/attachment does.
void WorkerProcess::OnCommand(const v1::WorkerCommand& command) {
  if (command.has_not_leader()) {
    if (const auto leader = NumberOf(command.not_leader().address())) next_scheduler_ = *leader;
    return;
  }
  if (command.has_welcome()) {
    if (command.epoch() < epoch_) {
      link_->CloseByClient();
      return OnLinkEnd();
    }
    epoch_ = command.epoch();
    is_welcomed_ = true;
    return Heartbeat(attachment_);
  }
  if (!is_welcomed_ || command.epoch() != epoch_) {
    link_->CloseByClient();
    return OnLinkEnd();
  }
  if (command.has_drain()) {
    env_.require(inbox_.empty() && !is_busy_, "drained with steps in flight");
    link_->CloseByClient();
    return OnLinkEnd();
  }
  inbox_.push_back(command.step());
  if (!is_busy_) StartNextStep();
}

void WorkerProcess::Heartbeat(int attachment) {
  if (attachment != attachment_) return;
  v1::WorkerFrame frame;
  frame.mutable_heartbeat();
  Send(std::move(frame));
  env_.clock.After(kHeartbeat, [self = shared_from_this(), attachment] {
    self->Post([self, attachment] { self->Heartbeat(attachment); });
  });
}

void WorkerProcess::StartNextStep() {
  if (inbox_.empty()) return;
  worker::StepCommand command;
  const absl::Status read = worker::FromProto(inbox_.front(), command);
  env_.require(read.ok(), absl::StrCat("a step that cannot be read: ", read.message()));
  inbox_.pop_front();
  if (!read.ok()) return;
  const std::optional<StepAnswer> answer = model_->Execute(StepOf(command));
  env_.require(model_->violation().empty(), model_->violation());
  if (!answer) return void(Crash());
  const double seconds = StepSeconds(*FindGpu("H200"), Qwen2_1_5B(), answer->load);
  Micros took = static_cast<Micros>(1e6 * seconds * (0.8 + 0.4 * env_.random.Unit()));
  if (env_.random.Chance(slow_chance_)) took *= env_.random.Between(2, 50);
  is_busy_ = true;
  env_.clock.After(took,
                   [self = shared_from_this(), attachment = attachment_, took, answer = *answer] {
                     self->Post([self, attachment, took, answer] {
                       if (attachment == self->attachment_) self->FinishStep(answer, took);
                     });
                   });
}

void WorkerProcess::FinishStep(const StepAnswer& answer, Micros took) {
  if (ailment_ == Ailment::kHangs) return;  // and is busy for ever
  is_busy_ = false;
  v1::WorkerFrame frame;
  if (ailment_ == Ailment::kFails) {
    frame.mutable_fault()->set_step_id(answer.step_id);
    frame.mutable_fault()->set_message("the device caught fire");
    Send(std::move(frame));
    link_->CloseByClient();
    return OnLinkEnd();
  }
  worker::ToProto(ResultOf(answer, took), *frame.mutable_step_done());
  Send(std::move(frame));
  StartNextStep();
}

}  // namespace weft::sim
