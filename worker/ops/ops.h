// What a Qwen2 forward pass is made of, on tensors of one device. The model is
// written over these; each device brings its own (ops/cpu).
//
// Letters: T tokens of the step, H hidden, D head dimension, I intermediate, V
// vocabulary. "Model type" is the tensors' common float32 or bfloat16. All are
// contiguous; sums are in fp32; outputs are written where the caller says and
// nothing of a step's size is allocated. A token's result does not depend on what
// else is in the step.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>

#include "worker/ops/batch.h"

namespace weft::worker::ops {

struct HeadShape {
  int num_heads, num_kv_heads, head_dim;
};

// Keys and values of one layer's blocks; their layout is the device's affair.
struct KvLayer {
  at::Tensor keys;
  at::Tensor values;
};

// Memory for a weight, laid out for the device's loads; not filled.
at::Tensor MakeWeight(at::IntArrayRef shape, at::ScalarType dtype);

// Blocks are not zeroed: what no token has written is never read.
KvLayer MakeKvLayer(HeadShape shape, int num_blocks, at::ScalarType dtype);

// out[t] = table[ids[t]].  table: [V, H], out: [T, H].
void Embedding(const at::Tensor& table, std::span<const int32_t> ids, at::Tensor out);

// residual += delta (if given); out = residual / rms(residual) * weight.
// All [T, H] but weight [H].
void AddRmsNorm(const std::optional<at::Tensor>& delta, at::Tensor residual,
                const at::Tensor& weight, float epsilon, at::Tensor out);

// out = x . weight^T + bias.  x: [T, K], weight: [N, K], bias: [N] or undefined,
// out: [T, N] of the model type or float32.
void Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::Tensor out);

// cos, sin: [T, D / 2] float32, of position / theta^(2 i / D), as transformers rounds it.
void RotaryAngles(std::span<const int32_t> positions, double theta, at::Tensor cos, at::Tensor sin);

// Rotates q (in place) and k of qkv [T, (heads + 2 kv heads) * D]; k and v go to
// their place in the layer's blocks.
void RotateAndStore(at::Tensor qkv, const at::Tensor& cos, const at::Tensor& sin,
                    const Batch& batch, HeadShape shape, KvLayer& kv);

// Causal attention of qkv's queries over their rows' KV, this step's included.
// out: [T, heads * D].
void PagedAttention(const at::Tensor& qkv, const Batch& batch, HeadShape shape, const KvLayer& kv,
                    at::Tensor out);

// out = silu(gate) * up.  gate_up: [T, 2 I], gate first; out: [T, I].
void SiluMul(const at::Tensor& gate_up, at::Tensor out);

// out[i] = x[rows[i]].
void GatherRows(const at::Tensor& x, std::span<const int32_t> rows, at::Tensor out);

}  // namespace weft::worker::ops
