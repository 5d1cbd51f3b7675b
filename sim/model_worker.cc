#include "sim/model_worker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace weft::sim {
namespace {

// What the KV of a position stands for: its token and all before it. Never
// kNotFinite, but for one case in 2^64.
uint64_t Chain(uint64_t before, TokenId token) {
  uint64_t x = (before ^ static_cast<uint64_t>(token + 1)) * 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9;
  return x ^ (x >> 32);
}

}  // namespace

TokenId ExpectedToken(const SamplingParams& sampling, int output_index, int vocab_size) {
  TokenId token = SimulatedToken(/*seed=*/0, sampling.seed, output_index, vocab_size);
  if (output_index >= sampling.min_tokens) return token;
  const std::vector<TokenId>& stops = sampling.stop_token_ids;
  while (std::find(stops.begin(), stops.end(), token) != stops.end()) {
    token = (token + 1) % vocab_size;
  }
  return token;
}

float ExpectedLogprob(uint64_t request, int output_index) {
  return -static_cast<float>(SimulatedToken(/*seed=*/1, request, output_index, 1000));
}

float ExpectedPromptLogprob(uint64_t request, int position) {
  return -static_cast<float>(SimulatedToken(/*seed=*/2, request, position, 1000));
}

SentStep::SentStep(const core::Step& step)
    : step_id(step.step_id),
      released_slots(step.released_slots),
      rows(step.rows),
      new_blocks(step.new_blocks) {
  for (const core::SlotEntry& entry : step.entries) {
    entries.push_back({.slot = entry.slot,
                       .tokens = {entry.tokens.begin(), entry.tokens.end()},
                       .num_prompt_tokens = entry.num_prompt_tokens,
                       .num_computed_tokens = entry.num_computed_tokens,
                       .blocks = {entry.blocks.begin(), entry.blocks.end()},
                       .sampling = *entry.sampling});
  }
}

ModelWorker::ModelWorker(const core::WorkerLimits& limits, const ModelFaults& faults)
    : limits_(limits),
      faults_(faults),
      slots_(limits.max_rows),
      kv_(static_cast<size_t>(limits.num_blocks) * core::kBlockTokens, 0) {}

bool ModelWorker::Require(bool condition, const char* rule, uint64_t request) {
  if (!condition && violation_.empty()) {
    violation_ = absl::StrCat("worker: ", rule, " (request ", request, ")");
  }
  return condition;
}

uint64_t& ModelWorker::KvAt(const Slot& slot, int position) {
  const int block = slot.blocks[position / core::kBlockTokens];
  return kv_[static_cast<size_t>(block) * core::kBlockTokens + position % core::kBlockTokens];
}

void ModelWorker::Enter(const SentStep::Entry& entry) {
  const uint64_t request = entry.sampling.seed;
  if (!Require(entry.slot >= 0 && entry.slot < limits_.max_rows, "slot out of range", request)) {
    return;
  }
  Slot& slot = slots_[entry.slot];
  Require(!slot.in_use, "slot in use", request);
  for (const int block : entry.blocks) {
    if (!Require(block >= 0 && block < limits_.num_blocks, "block out of range", request)) return;
  }
  Require(entry.num_computed_tokens < static_cast<int>(entry.tokens.size()),
          "the last token must be left to compute", request);
  slot = {
      .in_use = true,
      .tokens = entry.tokens,
      .num_prompt_tokens = entry.num_prompt_tokens,
      .num_computed_tokens = entry.num_computed_tokens,
      .blocks = entry.blocks,
      .sampling = entry.sampling,
      .wants_prompt_logprobs = entry.sampling.num_prompt_logprobs.has_value() &&
                               static_cast<int>(entry.tokens.size()) == entry.num_prompt_tokens};
}

std::optional<StepAnswer> ModelWorker::Execute(const SentStep& step) {
  StepAnswer answer{.step_id = step.step_id};
  for (const int slot : step.released_slots) {
    Require(slots_[slot].in_use, "released slot not in use", 0);
    slots_[slot] = {};
  }
  for (const SentStep::Entry& entry : step.entries) Enter(entry);
  if (!violation_.empty()) return answer;

  Require(static_cast<int>(step.rows.size()) <= limits_.max_rows, "too many rows", 0);
  const int* new_blocks = step.new_blocks.data();
  for (const core::StepRow& row : step.rows) {
    Slot& slot = slots_[row.slot];
    const uint64_t request = slot.sampling.seed;
    Require(slot.in_use, "row of an empty slot", request);
    Require(row.num_tokens >= 1, "row without tokens", request);
    slot.blocks.insert(slot.blocks.end(), new_blocks, new_blocks + row.num_new_blocks);
    new_blocks += row.num_new_blocks;

    const int begin = slot.num_computed_tokens;
    const int end = begin + row.num_tokens;
    const int num_tokens = static_cast<int>(slot.tokens.size());
    Require(end <= num_tokens, "row beyond the last token", request);
    Require(end <= static_cast<int>(slot.blocks.size()) * core::kBlockTokens,
            "row beyond the last block", request);
    if (!violation_.empty()) return answer;
    const bool samples = end == num_tokens;
    const int output_index = num_tokens - slot.num_prompt_tokens;
    const bool is_faulty = output_index >= faults_.fault_output_index;
    answer.load.AddRow(begin, row.num_tokens, samples);
    answer.requests.push_back(request);
    answer.begins.push_back(begin);
    answer.ends.push_back(end);
    answer.output_indexes.push_back(output_index);
    answer.wants_logprob.push_back(slot.sampling.num_logprobs.has_value());
    answer.num_prompt_logprobs.push_back(
        slot.wants_prompt_logprobs
            ? std::clamp(slot.num_prompt_tokens - 1 - begin, 0, row.num_tokens)
            : 0);

    if (samples && is_faulty && faults_.killer_requests.contains(request)) return std::nullopt;

    // Attend: everything before must be this sequence's own past.
    uint64_t chain = 0;
    bool is_finite = true;
    for (int position = 0; position < begin; ++position) {
      chain = Chain(chain, slot.tokens[position]);
      const uint64_t kv = KvAt(slot, position);
      if (kv == kNotFinite) {
        is_finite = false;
      } else {
        Require(kv == chain, "KV is not that of the tokens", request);
      }
    }
    if (is_faulty && faults_.poisoned_requests.contains(request)) is_finite = false;
    for (int position = begin; position < end; ++position) {
      chain = Chain(chain, slot.tokens[position]);
      KvAt(slot, position) = is_finite ? chain : kNotFinite;
    }
    slot.num_computed_tokens = end;

    core::RowResult& result = answer.rows.emplace_back();
    if (!samples) continue;
    if (!is_finite) {
      result.status = core::RowStatus::kNonFinite;
      // On a device the next step, if already sent, runs on whatever this was.
      slot.tokens.push_back(0);
      continue;
    }
    result.num_tokens = 1;
    answer.tokens.push_back(ExpectedToken(slot.sampling, output_index, limits_.vocab_size));
    slot.tokens.push_back(answer.tokens.back());
  }
  int num_step_tokens = 0;
  for (const core::StepRow& row : step.rows) num_step_tokens += row.num_tokens;
  Require(num_step_tokens <= limits_.max_step_tokens, "too many tokens in a step", 0);
  Require(new_blocks == step.new_blocks.data() + step.new_blocks.size(), "blocks left over", 0);
  return answer;
}

}  // namespace weft::sim
