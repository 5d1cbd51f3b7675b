#include "worker/rpc/step_codec.h"

#include "absl/strings/str_cat.h"
#include "common/sampling_proto.h"

namespace weft::worker {
namespace {

template <typename Field>
absl::Status CopyInts(const Field& from, const char* name, std::vector<int>& to) {
  to.clear();
  to.reserve(from.size());
  for (uint32_t value : from) {
    if (!FitsInt(value)) return absl::InvalidArgumentError(absl::StrCat(name, " holds ", value));
    to.push_back(static_cast<int>(value));
  }
  return absl::OkStatus();
}

absl::Status FromProto(const v1::SlotEntry& proto, SlotEntry& entry) {
  if (!FitsInt(proto.slot()) || !FitsInt(proto.num_prompt_tokens()) ||
      !FitsInt(proto.num_computed_tokens())) {
    return absl::InvalidArgumentError("an entry's slot or token count is above 31 bits");
  }
  entry.slot = static_cast<int>(proto.slot());
  entry.tokens.assign(proto.tokens().begin(), proto.tokens().end());
  entry.num_prompt_tokens = static_cast<int>(proto.num_prompt_tokens());
  entry.num_computed_tokens = static_cast<int>(proto.num_computed_tokens());
  if (auto s = CopyInts(proto.blocks(), "an entry's blocks", entry.blocks); !s.ok()) return s;
  entry.trace = ParseTraceparent(proto.traceparent());
  return weft::FromProto(proto.sampling(), entry.sampling);
}

absl::Status RowsFromProto(const v1::Step& step, std::vector<StepRow>& rows) {
  const int num_rows = step.row_slots_size();
  if (step.row_num_tokens_size() != num_rows || step.row_num_new_blocks_size() != num_rows) {
    return absl::InvalidArgumentError("the row lists differ in length");
  }
  rows.resize(num_rows);
  int next_block = 0;
  for (int i = 0; i < num_rows; ++i) {
    StepRow& row = rows[i];
    const uint32_t num_new = step.row_num_new_blocks(i);
    if (!FitsInt(step.row_slots(i)) || !FitsInt(step.row_num_tokens(i))) {
      return absl::InvalidArgumentError("a row's slot or token count is above 31 bits");
    }
    if (num_new > static_cast<uint32_t>(step.new_blocks_size() - next_block)) {
      return absl::InvalidArgumentError("rows count more new blocks than there are");
    }
    row.slot = static_cast<int>(step.row_slots(i));
    row.num_tokens = static_cast<int>(step.row_num_tokens(i));
    row.new_blocks.clear();
    for (uint32_t j = 0; j < num_new; ++j) {
      const uint32_t block = step.new_blocks(next_block++);
      if (!FitsInt(block)) return absl::InvalidArgumentError(absl::StrCat("new block ", block));
      row.new_blocks.push_back(static_cast<int>(block));
    }
  }
  if (next_block != step.new_blocks_size()) {
    return absl::InvalidArgumentError("rows count fewer new blocks than there are");
  }
  return absl::OkStatus();
}

v1::RowStatus ToProto(RowStatus status) {
  switch (status) {
    case RowStatus::kOk:
      return v1::ROW_STATUS_OK;
    case RowStatus::kNonFinite:
      return v1::ROW_STATUS_NON_FINITE;
    case RowStatus::kGrammar:
      return v1::ROW_STATUS_GRAMMAR;
    case RowStatus::kError:
      return v1::ROW_STATUS_ERROR;
  }
  return v1::ROW_STATUS_ERROR;
}

}  // namespace

absl::Status FromProto(const v1::Step& step, StepCommand& command) {
  command.step_id = step.step_id();
  if (auto s = CopyInts(step.released_slots(), "released_slots", command.released_slots); !s.ok()) {
    return s;
  }
  command.entries.resize(step.entries_size());
  for (int i = 0; i < step.entries_size(); ++i) {
    if (auto s = FromProto(step.entries(i), command.entries[i]); !s.ok()) return s;
  }
  return RowsFromProto(step, command.rows);
}

void ToProto(const StepResult& result, v1::StepDone& done) {
  done.set_step_id(result.step_id);
  const int num_rows = static_cast<int>(result.rows.size());
  done.mutable_statuses()->Reserve(num_rows);
  done.mutable_num_tokens()->Reserve(num_rows);
  done.mutable_tokens()->Reserve(num_rows);
  for (int i = 0; i < num_rows; ++i) {
    const RowResult& row = result.rows[i];
    done.add_statuses(ToProto(row.status));
    done.add_num_tokens(static_cast<uint32_t>(row.tokens.size()));
    for (TokenId token : row.tokens) done.add_tokens(token);
    for (const TokenLogprobs& logprobs : row.logprobs) {
      v1::RowLogprobs& proto = *done.add_logprobs();
      proto.set_row(i);
      v1::TokenLogprobs& values = *proto.mutable_logprobs();
      values.set_logprob(logprobs.logprob);
      values.mutable_top_tokens()->Assign(logprobs.top_tokens.begin(), logprobs.top_tokens.end());
      values.mutable_top_logprobs()->Assign(logprobs.top_logprobs.begin(),
                                            logprobs.top_logprobs.end());
    }
    if (const PromptLogprobs& prompt = row.prompt_logprobs; prompt.size() > 0) {
      v1::RowPromptLogprobs& proto = *done.add_prompt_logprobs();
      proto.set_row(i);
      v1::PromptLogprobs& values = *proto.mutable_logprobs();
      values.set_first_position(static_cast<uint32_t>(prompt.first_position));
      values.mutable_logprobs()->Assign(prompt.logprobs.begin(), prompt.logprobs.end());
      values.mutable_ranks()->Assign(prompt.ranks.begin(), prompt.ranks.end());
      values.set_num_top(static_cast<uint32_t>(prompt.num_top));
      values.mutable_top_tokens()->Assign(prompt.top_tokens.begin(), prompt.top_tokens.end());
      values.mutable_top_logprobs()->Assign(prompt.top_logprobs.begin(), prompt.top_logprobs.end());
    }
  }
  v1::StepTimings& timings = *done.mutable_timings();
  timings.set_queue_us(static_cast<uint32_t>(result.queue_us));
  timings.set_forward_us(static_cast<uint32_t>(result.forward_us));
  timings.set_sample_us(static_cast<uint32_t>(result.sample_us));
}

void ToProto(const BackendLimits& limits, v1::WorkerLimits& proto) {
  proto.set_num_blocks(limits.num_blocks);
  proto.set_block_tokens(limits.block_tokens);
  proto.set_max_rows(limits.max_rows);
  proto.set_max_step_tokens(limits.max_step_tokens);
  proto.set_max_steps_in_flight(limits.max_steps_in_flight);
  proto.set_max_context_tokens(limits.max_context_tokens);
  proto.set_vocab_size(limits.vocab_size);
}

}  // namespace weft::worker
