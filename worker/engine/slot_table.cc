#include "worker/engine/slot_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace weft::worker {
namespace {

template <class... Parts>
absl::Status Broken(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

using ops::BlocksFor;

}  // namespace

SlotTable::SlotTable(const BackendLimits& limits)
    : limits_(limits),
      slots_(limits.max_rows),
      previews_(limits.max_rows),
      block_written_at_(limits.num_blocks, 0) {}

absl::StatusOr<std::vector<StepRowPlan>> SlotTable::Begin(const StepCommand& command) {
  if (auto s = Check(command); !s.ok()) return s;
  for (int slot : command.released_slots) slots_[slot].reset();
  for (const SlotEntry& entry : command.entries) {
    slots_[entry.slot] = Slot{
        .tokens = entry.tokens,
        .num_prompt_tokens = entry.num_prompt_tokens,
        .num_computed_tokens = entry.num_computed_tokens,
        .blocks = entry.blocks,
        .sampling = SamplingState(entry.sampling, entry.tokens, entry.num_prompt_tokens),
        .wants_prompt_logprobs = entry.sampling.num_prompt_logprobs.has_value() &&
                                 static_cast<int>(entry.tokens.size()) == entry.num_prompt_tokens,
    };
  }
  std::vector<StepRowPlan> rows;
  for (const StepRow& row : command.rows) {
    Slot& slot = *slots_[row.slot];
    slot.blocks.insert(slot.blocks.end(), row.new_blocks.begin(), row.new_blocks.end());
    const int first = slot.num_computed_tokens;
    slot.num_computed_tokens += row.num_tokens;
    const bool samples = slot.num_computed_tokens == slot.num_known_or_owed();
    if (samples) ++slot.num_owed_tokens;
    rows.push_back({.slot = row.slot,
                    .first_position = first,
                    .num_tokens = row.num_tokens,
                    .samples = samples});
    if (slot.wants_prompt_logprobs) {
      rows.back().num_prompt_logprobs =
          std::clamp(slot.num_prompt_tokens - 1 - first, 0, row.num_tokens);
    }
  }
  return rows;
}

void SlotTable::Finish(const std::vector<StepRowPlan>& rows,
                       const std::vector<RowResult>& results) {
  for (size_t i = 0; i < rows.size(); ++i) {
    Slot& slot = *slots_[rows[i].slot];
    if (rows[i].samples) --slot.num_owed_tokens;
    for (TokenId token : results[i].tokens) {
      slot.tokens.push_back(token);
      slot.sampling.Append(token);
    }
  }
}

void SlotTable::Reset() {
  for (auto& slot : slots_) slot.reset();
}

int SlotTable::num_used() const {
  return static_cast<int>(
      std::count_if(slots_.begin(), slots_.end(), [](const auto& s) { return s.has_value(); }));
}

absl::Status SlotTable::Check(const StepCommand& command) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    previews_[i] = Preview{};
    if (!slots_[i]) continue;
    previews_[i] = {.used = true,
                    .num_known_or_owed = slots_[i]->num_known_or_owed(),
                    .num_computed = slots_[i]->num_computed_tokens,
                    .blocks = &slots_[i]->blocks};
  }
  ++num_checks_;
  for (int slot : command.released_slots) {
    if (slot < 0 || slot >= limits_.max_rows || !previews_[slot].used) {
      return Broken("slot ", slot, " is released but not in use");
    }
    previews_[slot].used = false;
  }
  for (const SlotEntry& entry : command.entries) {
    if (auto s = CheckEntry(entry); !s.ok()) return s;
  }
  int64_t num_tokens = 0;
  for (const StepRow& row : command.rows) {
    if (auto s = CheckRow(row); !s.ok()) return s;
    num_tokens += row.num_tokens;
  }
  if (num_tokens > limits_.max_step_tokens) {
    return Broken("a step of ", num_tokens, " tokens; at most ", limits_.max_step_tokens);
  }
  return absl::OkStatus();
}

absl::Status SlotTable::CheckEntry(const SlotEntry& entry) {
  const int slot = entry.slot;
  if (slot < 0 || slot >= limits_.max_rows) {
    return Broken("slot ", slot, " does not exist; there are ", limits_.max_rows);
  }
  if (previews_[slot].used) return Broken("slot ", slot, " is entered but in use");
  const int num_tokens = static_cast<int>(entry.tokens.size());
  if (num_tokens == 0) return Broken("slot ", slot, " is entered with no tokens");
  if (num_tokens > limits_.max_context_tokens) {
    return Broken("slot ", slot, " is entered with ", num_tokens, " tokens; the context holds ",
                  limits_.max_context_tokens);
  }
  for (TokenId token : entry.tokens) {
    if (token < 0 || token >= limits_.vocab_size) {
      return Broken("slot ", slot, " holds token ", token, "; ids are 0 to ",
                    limits_.vocab_size - 1);
    }
  }
  if (entry.num_prompt_tokens < 1 || entry.num_prompt_tokens > num_tokens) {
    return Broken("slot ", slot, " has ", entry.num_prompt_tokens, " prompt tokens of ",
                  num_tokens);
  }
  if (entry.num_computed_tokens < 0 || entry.num_computed_tokens >= num_tokens) {
    return Broken("slot ", slot, " is entered with ", entry.num_computed_tokens,
                  " computed tokens of ", num_tokens);
  }
  if (auto s = CheckBlocks(entry.blocks); !s.ok()) return s;
  if (static_cast<int>(entry.blocks.size()) > BlocksFor(limits_.max_context_tokens)) {
    return Broken("slot ", slot, " is entered with ", entry.blocks.size(),
                  " blocks; the context takes ", BlocksFor(limits_.max_context_tokens));
  }
  if (BlocksFor(entry.num_computed_tokens) > static_cast<int>(entry.blocks.size())) {
    return Broken("slot ", slot, " has ", entry.num_computed_tokens, " computed tokens in ",
                  entry.blocks.size(), " blocks");
  }
  if (auto s = ValidateSampling(entry.sampling, limits_.vocab_size); !s.ok()) return s;
  previews_[slot] = {.used = true,
                     .num_known_or_owed = num_tokens,
                     .num_computed = entry.num_computed_tokens,
                     .blocks = &entry.blocks};
  return absl::OkStatus();
}

absl::Status SlotTable::CheckRow(const StepRow& row) {
  if (row.slot < 0 || row.slot >= limits_.max_rows || !previews_[row.slot].used) {
    return Broken("a row for slot ", row.slot, ", which is not in use");
  }
  Preview& slot = previews_[row.slot];
  if (slot.has_row) return Broken("two rows for slot ", row.slot);
  slot.has_row = true;
  if (row.num_tokens < 1 || row.num_tokens > slot.num_known_or_owed - slot.num_computed) {
    return Broken("a row of ", row.num_tokens, " tokens for slot ", row.slot, ", which has ",
                  slot.num_known_or_owed - slot.num_computed, " to compute");
  }
  if (auto s = CheckBlocks(row.new_blocks); !s.ok()) return s;
  const int num_old = static_cast<int>(slot.blocks->size());
  const int num_blocks = num_old + static_cast<int>(row.new_blocks.size());
  const int end = slot.num_computed + row.num_tokens;
  if (end > limits_.max_context_tokens || num_blocks > BlocksFor(limits_.max_context_tokens)) {
    return Broken("slot ", row.slot, " would have ", end, " tokens in ", num_blocks,
                  " blocks; the context holds ", limits_.max_context_tokens);
  }
  if (BlocksFor(end) > num_blocks) {
    return Broken("slot ", row.slot, " would compute ", end, " tokens into ", num_blocks,
                  " blocks");
  }
  for (int i = slot.num_computed / ops::kBlockTokens; i < BlocksFor(end); ++i) {
    const int block = i < num_old ? (*slot.blocks)[i] : row.new_blocks[i - num_old];
    if (block_written_at_[block] == num_checks_) {
      return Broken("block ", block, " would be written for slot ", row.slot,
                    " and for another place in the same step");
    }
    block_written_at_[block] = num_checks_;
  }
  return absl::OkStatus();
}

absl::Status SlotTable::CheckBlocks(const std::vector<int>& blocks) const {
  for (int block : blocks) {
    if (block < 0 || block >= limits_.num_blocks) {
      return Broken("block ", block, " does not exist; there are ", limits_.num_blocks);
    }
  }
  return absl::OkStatus();
}

ops::HostBatch MakeBatch(const SlotTable& slots, const std::vector<StepRowPlan>& rows) {
  ops::HostBatch batch;
  batch.row_starts = {0};
  for (const StepRowPlan& row : rows) {
    const Slot& slot = slots.slot(row.slot);
    const int end = row.first_position + row.num_tokens;
    for (int p = row.first_position; p < end; ++p) {
      batch.token_ids.push_back(slot.tokens[p]);
      batch.positions.push_back(p);
    }
    batch.block_starts.push_back(static_cast<int32_t>(batch.blocks.size()));
    batch.blocks.insert(batch.blocks.end(), slot.blocks.begin(),
                        slot.blocks.begin() + BlocksFor(end));
    batch.row_starts.push_back(batch.num_tokens());
    if (row.samples) batch.logit_tokens.push_back(batch.num_tokens() - 1);
  }
  return batch;
}

}  // namespace weft::worker
