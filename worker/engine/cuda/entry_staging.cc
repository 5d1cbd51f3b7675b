#include "worker/engine/cuda/entry_staging.h"

#include <algorithm>
#include <cstring>

#include "common/sampling.h"
#include "worker/engine/cuda/die.h"
#include "worker/ops/cuda/sampling.h"

namespace weft::worker {
namespace {

static_assert(ops::cuda::kMaxBiasEntries >= kMaxLogitBias);
static_assert(ops::cuda::kMaxStopIds >= kMaxStopTokens);
static_assert(ops::cuda::kMaxTopLogprobs >= kMaxLogprobs);

// Token ids and blocks of entering sequences, on their way; more takes several turns.
constexpr int64_t kMinStagingBytes = int64_t{4} << 20;

// Each once, as the sampler wants them.
void CopyStopIds(std::vector<TokenId> ids, ops::cuda::SlotSampling& to) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  to.num_stop_ids = static_cast<int32_t>(ids.size());
  std::copy(ids.begin(), ids.end(), to.stop_ids);
}

}  // namespace

EntryStaging::EntryStaging(int max_context_tokens, ops::cuda::DeviceMemory& memory)
    : bytes_(std::max<int64_t>(kMinStagingBytes, int64_t{max_context_tokens} * 8 + (1 << 16))),
      host_(kStepRing * bytes_),
      device_(static_cast<char*>(memory.TakeZeroed(bytes_))) {}

void EntryStaging::Enter(const std::vector<SlotEntry>& entries, uint64_t step,
                         const SlotState& slots, cudaStream_t stream) {
  char* staging = host_.data() + static_cast<int64_t>(step % kStepRing) * bytes_;
  const auto rounded = [](size_t bytes) { return static_cast<int64_t>((bytes + 15) / 16 * 16); };
  size_t next = 0;
  while (next < entries.size()) {
    if (next > 0) CheckOrDie(cudaStreamSynchronize(stream), "entering slots");
    // As many as fit.
    int64_t bytes = 0;
    size_t end = next;
    for (; end < entries.size(); ++end) {
      const SlotEntry& e = entries[end];
      const int64_t needed = sizeof(EntryRecord) + 16 + rounded(e.tokens.size() * 4) +
                             rounded(e.blocks.size() * 4) +
                             2 * rounded(e.sampling.logit_bias.size() * 4);
      if (end > next && bytes + needed > bytes_) break;
      bytes += needed;
    }
    int64_t at = rounded((end - next) * sizeof(EntryRecord));
    for (size_t i = next; i < end; ++i) {
      const SlotEntry& e = entries[i];
      const SamplingParams& p = e.sampling;
      auto& record = reinterpret_cast<EntryRecord*>(staging)[i - next];
      const auto put = [&](const void* from, size_t count) {
        const int64_t offset = at;
        std::memcpy(staging + at, from, count * 4);
        at += rounded(count * 4);
        return offset;
      };
      record = {.slot = e.slot,
                .num_tokens = static_cast<int32_t>(e.tokens.size()),
                .num_blocks = static_cast<int32_t>(e.blocks.size()),
                .num_bias = static_cast<int32_t>(p.logit_bias.size()),
                .sampling = {.temperature = p.temperature,
                             .top_p = p.top_p,
                             .min_p = p.min_p,
                             .repetition_penalty = p.repetition_penalty,
                             .presence_penalty = p.presence_penalty,
                             .frequency_penalty = p.frequency_penalty,
                             .seed = p.seed,
                             .top_k = p.top_k,
                             .min_tokens = p.min_tokens,
                             .num_prompt_tokens = e.num_prompt_tokens,
                             .num_logprobs = p.num_logprobs.value_or(-1),
                             .num_bias = static_cast<int32_t>(p.logit_bias.size()),
                             .has_mask = p.grammar.has_value()}};
      CopyStopIds(p.stop_token_ids, record.sampling);
      record.tokens_offset = put(e.tokens.data(), e.tokens.size());
      record.blocks_offset = put(e.blocks.data(), e.blocks.size());
      std::vector<TokenId> ids;
      std::vector<float> values;
      for (const auto& [id, value] : p.logit_bias) {
        ids.push_back(id);
        values.push_back(value);
      }
      record.bias_ids_offset = put(ids.data(), ids.size());
      record.bias_values_offset = put(values.data(), values.size());
    }
    CheckOrDie(cudaMemcpyAsync(device_, staging, at, cudaMemcpyHostToDevice, stream),
               "entering slots");
    CheckOrDie(EnterSlots(device_, static_cast<int>(end - next), slots, stream), "entering slots");
    next = end;
  }
}

}  // namespace weft::worker
