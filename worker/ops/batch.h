// A step's sequences as kernels take them.
#pragma once

#include <cstdint>
#include <vector>

namespace weft::worker::ops {

inline constexpr int kBlockTokens = 16;

// The sequences of a step, one after another: which tokens are whose, where they
// stand, and where their KV lives. Host memory; a device takes what it needs once
// per step.
struct Batch {
  std::vector<int32_t> token_ids;     // [T]
  std::vector<int32_t> positions;     // [T]
  std::vector<int32_t> kv_slots;      // [T] block * 16 + place in the block
  std::vector<int32_t> row_starts;    // [rows + 1] into tokens
  std::vector<int32_t> block_starts;  // [rows + 1] into blocks
  std::vector<int32_t> blocks;        // position p of a row: blocks[start + p / 16]
  std::vector<int32_t> logit_tokens;  // tokens whose logits are wanted, ascending

  int num_tokens() const { return static_cast<int>(token_ids.size()); }
  int num_rows() const { return static_cast<int>(row_starts.size()) - 1; }
};

}  // namespace weft::worker::ops
