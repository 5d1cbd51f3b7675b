// What a Qwen2 forward pass is made of. The model is written over these five
// operations a layer; each device brings its own (ops/cpu, ops/cuda) and fuses
// behind them what it likes.
//
// Letters: T tokens of the step, H hidden, D head dimension, I intermediate, V
// vocabulary. "Model type" is the tensors' common float32, bfloat16 or (CUDA only)
// float16. All are contiguous and in the device's memory; sums are in fp32; outputs
// are written where the caller says, and a step allocates nothing on the device.
//
// Thread safety: none; one thread at a time. On CUDA calls return before the work is
// done, and it is done in order.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/ops/batch.h"

namespace weft::worker::ops {

struct HeadShape {
  int num_heads, num_kv_heads, head_dim;
};

// The largest step, for which an Ops keeps its own scratch.
struct StepShape {
  int max_tokens = 0;  // T
  int max_logits = 0;  // tokens of a step whose logits are wanted
  int hidden_size = 0, intermediate_size = 0;
  at::ScalarType dtype = at::kFloat;
};

// x / rms(x) * weight, rms(x) = sqrt(mean(x^2) + epsilon).  weight: [H].
struct Norm {
  at::Tensor weight;
  float epsilon = 0;
};

// Keys and values of one layer's blocks; their layout is the device's affair.
struct KvLayer {
  void* keys = nullptr;
  void* values = nullptr;  // null where a block holds both
};

class Ops {
 public:
  virtual ~Ops() = default;

  // Memory for a weight, laid out for the device's loads; not filled.
  virtual at::Tensor MakeWeight(at::IntArrayRef shape, at::ScalarType dtype) = 0;
  // Memory for what a step computes; not filled.
  virtual at::Tensor MakeScratch(at::IntArrayRef shape, at::ScalarType dtype) = 0;
  // Of what was made here and what the operations keep for themselves.
  virtual int64_t scratch_bytes() const = 0;

  // out[t] = table[batch.token_ids[t]].  table: [V, H], out: [T, H].
  virtual void Embedding(const Batch& batch, const at::Tensor& table, at::Tensor out) = 0;

  // cos, sin: [T, D / 2] float32, of position / theta^(2 i / D), as transformers rounds it.
  virtual void RotaryAngles(const Batch& batch, double theta, at::Tensor cos, at::Tensor sin) = 0;

  // out = norm(x) . weight^T + bias.  x: [T, H], weight: [N, H], bias: [N] or undefined,
  // out: [T, N].
  virtual void NormedLinear(const at::Tensor& x, const Norm& norm, const at::Tensor& weight,
                            const at::Tensor& bias, at::Tensor out) = 0;

  // Rotates the queries and keys of qkv [T, (heads + 2 kv heads) D] (in place, if it
  // likes), puts keys and values into the layer's blocks, and attends: each token to
  // its row's positions up to its own.  out: [T, heads D].
  virtual void Attention(at::Tensor qkv, const at::Tensor& cos, const at::Tensor& sin,
                         const Batch& batch, HeadShape shape, KvLayer kv, at::Tensor out) = 0;

  // out += x . weight^T.  x: [T, K], weight: [N, K], out: [T, N], not x.
  virtual void AddLinear(const at::Tensor& x, const at::Tensor& weight, at::Tensor out) = 0;

  // out = silu(g) * u, where g, u = the halves of norm(x) . gate_up^T.  gate_up:
  // [2 I, H], gate first; out: [T, I].
  virtual void NormedGatedLinear(const at::Tensor& x, const Norm& norm, const at::Tensor& gate_up,
                                 at::Tensor out) = 0;

  // out[i] = norm(x[batch.logit_tokens[i]]) . head^T.  head: [V, H], out:
  // [num_logits, V] float32.
  virtual void Logits(const Batch& batch, const at::Tensor& x, const Norm& norm,
                      const at::Tensor& head, at::Tensor out) = 0;
};

// A tensor over memory that the caller keeps. LibTorch is asked for nothing on the
// device: its CUDA library, slow to load, is not needed.
at::Tensor View(void* data, at::IntArrayRef shape, at::ScalarType dtype, at::Device device);
// `count` rows of a matrix, or elements of a vector, from `first` on; the same memory.
at::Tensor Rows(const at::Tensor& x, int64_t first, int64_t count);
at::Tensor FirstRows(const at::Tensor& x, int64_t count);

}  // namespace weft::worker::ops
