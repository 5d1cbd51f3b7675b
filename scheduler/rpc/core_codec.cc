#include "scheduler/rpc/core_codec.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/sampling_proto.h"

namespace weft::scheduler {
namespace {

core::RowStatus FromProto(int status) {
  switch (status) {
    case v1::ROW_STATUS_OK:
      return core::RowStatus::kOk;
    case v1::ROW_STATUS_NON_FINITE:
      return core::RowStatus::kNonFinite;
    case v1::ROW_STATUS_GRAMMAR:
      return core::RowStatus::kGrammar;
    default:
      return core::RowStatus::kError;
  }
}

v1::FinishReason ToProto(core::FinishReason reason) {
  switch (reason) {
    case core::FinishReason::kStop:
      return v1::FINISH_REASON_STOP;
    case core::FinishReason::kLength:
      return v1::FINISH_REASON_LENGTH;
    case core::FinishReason::kCancelled:
      return v1::FINISH_REASON_CANCELLED;
    case core::FinishReason::kTimeout:
      return v1::FINISH_REASON_TIMEOUT;
    case core::FinishReason::kError:
      return v1::FINISH_REASON_ERROR;
  }
  return v1::FINISH_REASON_ERROR;
}

v1::RejectCode ToProto(core::RejectCode code) {
  switch (code) {
    case core::RejectCode::kInvalid:
      return v1::REJECT_CODE_INVALID;
    case core::RejectCode::kQueueFull:
      return v1::REJECT_CODE_QUEUE_FULL;
    case core::RejectCode::kQuota:
      return v1::REJECT_CODE_QUOTA;
    case core::RejectCode::kNoWorker:
      return v1::REJECT_CODE_NO_WORKER;
  }
  return v1::REJECT_CODE_INVALID;
}

absl::Status CheckIds(const char* what, const std::vector<TokenId>& ids, int vocab_size) {
  for (TokenId id : ids) {
    if (id < 0 || id >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, " holds id ", id, "; the model's ids are 0 to ", vocab_size - 1));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<core::Submit> FromProto(const v1::Submit& proto, core::SequenceId id,
                                       core::Micros now) {
  if (proto.prompt_tokens().empty()) return absl::InvalidArgumentError("the prompt is empty");
  if (proto.max_tokens() == 0 || !FitsInt(proto.max_tokens())) {
    return absl::InvalidArgumentError("max_tokens must be at least 1 and fit 31 bits");
  }
  core::Submit submit;
  submit.id = id;
  submit.tenant = proto.tenant();
  submit.prompt.assign(proto.prompt_tokens().begin(), proto.prompt_tokens().end());
  submit.delivered.assign(proto.delivered_tokens().begin(), proto.delivered_tokens().end());
  if (auto s = weft::FromProto(proto.sampling(), submit.sampling); !s.ok()) return s;
  submit.max_tokens = static_cast<int>(proto.max_tokens());
  if (proto.timeout_ms() > 0) submit.deadline = now + core::Micros{proto.timeout_ms()} * 1000;
  submit.priority = proto.priority();
  submit.cache_salt = proto.cache_salt();
  submit.trace = ParseTraceparent(proto.traceparent());
  return submit;
}

absl::Status CheckSubmit(const core::Submit& submit, int vocab_size) {
  if (auto s = CheckIds("the prompt", submit.prompt, vocab_size); !s.ok()) return s;
  if (auto s = CheckIds("the delivered output", submit.delivered, vocab_size); !s.ok()) return s;
  return ValidateSampling(submit.sampling, vocab_size);
}

absl::StatusOr<core::WorkerLimits> FromProto(const v1::WorkerLimits& proto) {
  for (uint32_t value :
       {proto.num_blocks(), proto.block_tokens(), proto.max_rows(), proto.max_step_tokens(),
        proto.max_steps_in_flight(), proto.max_context_tokens(), proto.vocab_size()}) {
    if (!FitsInt(value)) return absl::InvalidArgumentError("a worker limit is above 31 bits");
  }
  return core::WorkerLimits{
      .num_blocks = static_cast<int>(proto.num_blocks()),
      .block_tokens = static_cast<int>(proto.block_tokens()),
      .max_rows = static_cast<int>(proto.max_rows()),
      .max_step_tokens = static_cast<int>(proto.max_step_tokens()),
      .max_steps_in_flight = static_cast<int>(proto.max_steps_in_flight()),
      .max_context_tokens = static_cast<int>(proto.max_context_tokens()),
      .vocab_size = static_cast<int>(proto.vocab_size()),
  };
}

absl::StatusOr<StepAnswer> FromProto(const v1::StepDone& proto) {
  if (proto.statuses_size() != proto.num_tokens_size()) {
    return absl::InvalidArgumentError("the row lists differ in length");
  }
  StepAnswer answer;
  answer.step_id = proto.step_id();
  answer.rows.reserve(proto.statuses_size());
  for (int i = 0; i < proto.statuses_size(); ++i) {
    if (proto.num_tokens(i) > static_cast<uint32_t>(proto.tokens_size())) {
      return absl::InvalidArgumentError("a row counts more tokens than there are");
    }
    answer.rows.push_back({.status = FromProto(static_cast<int>(proto.statuses(i))),
                           .num_tokens = static_cast<int>(proto.num_tokens(i))});
  }
  answer.tokens.assign(proto.tokens().begin(), proto.tokens().end());
  uint32_t last_row = 0;
  for (const v1::RowLogprobs& logprobs : proto.logprobs()) {
    if (logprobs.row() < last_row || logprobs.row() >= answer.rows.size()) {
      return absl::InvalidArgumentError("logprobs are not in the order of rows");
    }
    last_row = logprobs.row();
    answer.logprobs.push_back(logprobs);
  }
  for (const v1::RowPromptLogprobs& logprobs : proto.prompt_logprobs()) {
    const bool is_behind =
        answer.prompt_logprobs.empty() || logprobs.row() > answer.prompt_logprobs.back().row();
    if (!is_behind || logprobs.row() >= answer.rows.size()) {
      return absl::InvalidArgumentError("prompt logprobs are not in the order of rows");
    }
    if (!IsWhole(logprobs.logprobs())) {
      return absl::InvalidArgumentError("the lists of prompt logprobs differ in length");
    }
    answer.prompt_logprobs.push_back(logprobs);
  }
  answer.device_us = int64_t{proto.timings().forward_us()} + proto.timings().sample_us();
  return answer;
}

void ToProto(const core::Step& step, v1::Step& proto) {
  proto.set_step_id(step.step_id);
  proto.mutable_released_slots()->Add(step.released_slots.begin(), step.released_slots.end());
  for (const core::SlotEntry& entry : step.entries) {
    v1::SlotEntry& out = *proto.add_entries();
    out.set_slot(entry.slot);
    out.mutable_tokens()->Add(entry.tokens.begin(), entry.tokens.end());
    out.set_num_prompt_tokens(entry.num_prompt_tokens);
    out.set_num_computed_tokens(entry.num_computed_tokens);
    out.mutable_blocks()->Add(entry.blocks.begin(), entry.blocks.end());
    weft::ToProto(*entry.sampling, *out.mutable_sampling());
    if (entry.trace.valid()) out.set_traceparent(FormatTraceparent(entry.trace));
  }
  const int num_rows = static_cast<int>(step.rows.size());
  proto.mutable_row_slots()->Reserve(num_rows);
  proto.mutable_row_num_tokens()->Reserve(num_rows);
  proto.mutable_row_num_new_blocks()->Reserve(num_rows);
  for (const core::StepRow& row : step.rows) {
    proto.add_row_slots(row.slot);
    proto.add_row_num_tokens(row.num_tokens);
    proto.add_row_num_new_blocks(row.num_new_blocks);
  }
  proto.mutable_new_blocks()->Add(step.new_blocks.begin(), step.new_blocks.end());
}

v1::Finished ToProto(const core::Finished& finished) {
  v1::Finished proto;
  proto.set_handle(HandleOf(finished.id));
  proto.set_reason(ToProto(finished.reason));
  proto.set_stop_token(finished.stop_token);
  proto.set_num_cached_tokens(finished.num_cached_tokens);
  proto.set_message(finished.message);
  return proto;
}

v1::Rejected ToProto(const core::Rejected& rejected) {
  v1::Rejected proto;
  proto.set_handle(HandleOf(rejected.id));
  proto.set_code(ToProto(rejected.code));
  proto.set_message(rejected.message);
  proto.set_retry_after_ms(static_cast<uint32_t>((rejected.retry_after + 999) / 1000));
  return proto;
}

std::string FingerprintDifference(const std::string& group, const std::string& worker) {
  const std::vector<std::string> ours = absl::StrSplit(group, ';');
  const std::vector<std::string> theirs = absl::StrSplit(worker, ';');
  if (ours.size() != theirs.size()) {
    return absl::StrCat("the group's is \"", group, "\", the worker's \"", worker, "\"");
  }
  std::vector<std::string> differences;
  for (size_t i = 0; i < ours.size(); ++i) {
    if (ours[i] != theirs[i]) {
      differences.push_back(absl::StrCat("the group has ", ours[i], ", the worker ", theirs[i]));
    }
  }
  return absl::StrJoin(differences, "; ");
}

}  // namespace weft::scheduler
