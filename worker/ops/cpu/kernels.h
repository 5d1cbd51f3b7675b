// The CPU's kernels on raw pointers, each compiled for several instruction sets
// and chosen once by what the processor has.
//
// A kernel computes rows that do not know of each other: what a row yields never
// depends on how many others are in the call, nor on how work is cut over
// threads. That is what makes a batch's output equal to each request alone.
//
// T is float or BF16 throughout a call; sums are in fp32.
#pragma once

#include <cstdint>
#include <span>

namespace weft::worker::ops::cpu {

struct BF16 {
  uint16_t bits;
};

// Tokens in a KV block; one vector of scores.
inline constexpr int kBlockTokens = 16;
// Query heads that may share a KV head.
inline constexpr int kMaxGroup = 64;
inline constexpr int kMaxHeadDim = 256;

// out[m][n] = sum_k x[m][k] * w[n][k] + bias[n].  x: [M, K] T, w: [N, K] T, both
// with contiguous rows; bias: [N] T or null; out: [M, N] T (gemm) or float
// (gemm_f32), rows contiguous. A part is some columns of all rows.
struct GemmArgs {
  const void* x;
  const void* w;
  const void* bias;
  void* out;
  int64_t m, n, k;
};

// out[t] = x[t] / rms(x[t]) * weight.  x, out: [T, H] T, contiguous; out may be x.
struct NormArgs {
  const void* x;
  const void* weight;
  void* out;
  int64_t hidden;
  float epsilon;
};

// out[i] += delta[i].
struct AddArgs {
  const void* delta;
  void* out;
};

// Keys and values of one layer, [num_blocks, kv_heads, 16 * D] T each. A block's
// values are [16][D]. Its keys lie as attention reads them, sixteen tokens beside
// each other: float [D][16]; BF16 [D / 2][16][2], two neighbouring dimensions in
// a 32-bit word.
struct KvPointers {
  void* keys;
  void* values;
};

struct HeadDims {
  int num_heads, num_kv_heads, head_dim;
};

// Rotates q (in place) and k of qkv [T, (heads + 2 kv_heads) * D] by position, half
// against half, and stores k and v at `slots[t]` = block * 16 + place in it.
// cos, sin: [T, D / 2] float.
struct RopeArgs {
  void* qkv;
  const float* cos;
  const float* sin;
  const int32_t* slots;
  KvPointers kv;
  HeadDims dims;
};

// Causal attention of the q in qkv over the KV of their sequences, through block
// tables; out: [T, heads * D] T. KV beyond a query's position is never read.
struct AttentionArgs {
  const void* qkv;
  KvPointers kv;
  void* out;
  HeadDims dims;
};

// Some tokens of one sequence, and one KV head with the query heads that share it.
struct AttentionTask {
  const int32_t* blocks;  // position p lies in blocks[p / 16]
  int first_token;        // in qkv and out
  int num_tokens;         // with the heads' group at most kMaxGroup queries
  int first_position;
  int kv_head;
};

// out[t][i] = silu(gate_up[t][i]) * gate_up[t][I + i].  gate_up: [T, 2 I], out: [T, I].
struct SiluArgs {
  const void* gate_up;
  void* out;
  int64_t intermediate;
};

struct KernelSet {
  void (*gemm)(const GemmArgs&, int64_t n_begin, int64_t n_end);
  void (*gemm_f32)(const GemmArgs&, int64_t n_begin, int64_t n_end);
  void (*rms_norm)(const NormArgs&, int64_t t_begin, int64_t t_end);
  void (*add)(const AddArgs&, int64_t begin, int64_t end);
  void (*rope_and_store)(const RopeArgs&, int64_t t_begin, int64_t t_end);
  void (*attend)(const AttentionArgs&, const AttentionTask&);
  void (*silu_mul)(const SiluArgs&, int64_t t_begin, int64_t t_end);
};

struct Kernels {
  const char* isa;
  KernelSet f32;
  KernelSet bf16;
};

// Those this processor can run, best first; the last needs nothing special.
std::span<const Kernels* const> AvailableKernels();

}  // namespace weft::worker::ops::cpu
