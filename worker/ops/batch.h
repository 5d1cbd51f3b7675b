// One step's rows as arrays: who computes which positions, and where their KV lies.
#pragma once

#include <cstdint>
#include <vector>

namespace weft::worker::ops {

// Tokens in a KV block, in every tier.
inline constexpr int kBlockTokens = 16;
inline int BlocksFor(int num_tokens) { return (num_tokens + kBlockTokens - 1) / kBlockTokens; }

// The arrays live in the memory of the device that computes, and their owner keeps
// them until the step has ended. The counts are the host's.
struct Batch {
  int num_tokens = 0;  // T, of all rows
  int num_rows = 0;    // R
  // The rows come in two parts: the first `num_single_rows` have one token each (row
  // r's token is r), the others are longer chunks.
  int num_single_rows = 0;
  int num_logits = 0;  // tokens whose logits are wanted

  const int32_t* token_ids = nullptr;     // [T]
  const int32_t* positions = nullptr;     // [T]
  const int32_t* row_starts = nullptr;    // [R + 1] into tokens
  const int32_t* block_starts = nullptr;  // [R] into blocks
  const int32_t* blocks = nullptr;        // position p of row r: blocks[block_starts[r] + p / 16]
  const int32_t* logit_tokens = nullptr;  // [num_logits], ascending
  // CUDA only. [num_single_rows + 1]: KV blocks of the single rows before each.
  const int32_t* single_block_sums = nullptr;
};

// A batch in host memory.
struct HostBatch {
  std::vector<int32_t> token_ids;
  std::vector<int32_t> positions;
  std::vector<int32_t> row_starts;
  std::vector<int32_t> block_starts;
  std::vector<int32_t> blocks;
  std::vector<int32_t> logit_tokens;

  int num_tokens() const { return static_cast<int>(token_ids.size()); }
  int num_rows() const { return static_cast<int>(row_starts.size()) - 1; }

  // For a device whose memory this is; single rows are not told apart. Points into
  // the vectors.
  Batch View() const {
    return {.num_tokens = num_tokens(),
            .num_rows = num_rows(),
            .num_logits = static_cast<int>(logit_tokens.size()),
            .token_ids = token_ids.data(),
            .positions = positions.data(),
            .row_starts = row_starts.data(),
            .block_starts = block_starts.data(),
            .blocks = blocks.data(),
            .logit_tokens = logit_tokens.data()};
  }
};

}  // namespace weft::worker::ops
