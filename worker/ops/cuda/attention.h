// Attention over the paged KV pool, rotary embedding and the writing of new keys
// and values included.
//
// Letters: T tokens of the step, R rows (sequences), D head dimension (64 or 128),
// G query heads a KV head. qkv: [T, (heads + 2 kv heads) D]: the rows' queries, keys
// and values, not rotated; out: [T, heads D]; both of `dtype`, 16-byte aligned,
// distinct. cos, sin: [T, D / 2] float, of each token's position. Queries and keys
// are rotated in halves (transformers' rotate_half) in fp32 and rounded to `dtype`.
//
// Rows of a step come in two parts: the first `num_decode_rows` have one token
// each (row r's token is r); the others are chunks of prompts. All arrays are in
// device memory and are read by the kernels, so that a captured graph sees new
// contents; what is captured is the fields of this struct.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "worker/ops/cuda/device_features.h"
#include "worker/ops/dtype.h"

namespace weft::worker::ops::cuda {

enum class KvFormat { kSameAsModel, kFp8 };  // kFp8: e4m3, 16-bit models only

struct AttentionShape {
  int num_heads = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
};

struct AttentionArgs {
  AttentionShape shape;
  DType dtype = DType::kBFloat16;
  KvFormat kv_format = KvFormat::kSameAsModel;

  // by token
  const void* qkv = nullptr;
  void* out = nullptr;
  const float* cos = nullptr;
  const float* sin = nullptr;
  // [T]; -1: padding, which writes no KV and leaves `out` alone.
  const int32_t* positions = nullptr;

  // by row
  const int32_t* row_starts = nullptr;    // [R + 1] into tokens
  const int32_t* block_starts = nullptr;  // [R] into blocks
  const int32_t* blocks = nullptr;        // position p of row r: blocks[block_starts[r] + p / 16]
  // [num_decode_rows + 1]: KV blocks of all decode rows before this one, the one being
  // written included; a padded row has none.
  const int32_t* decode_block_sums = nullptr;

  void* kv = nullptr;  // this layer's tiles: [block][kv head], see kv_layout.h
  // AttentionWorkspaceBytes, zeroed once; kernels leave its counters zero.
  void* workspace = nullptr;

  int num_decode_rows = 0;
  int num_prefill_rows = 0;
  int num_prefill_tokens = 0;  // of all prefill rows; their tokens follow the decode rows'
};

// Bytes of workspace that any step of these limits needs on this device.
size_t AttentionWorkspaceBytes(AttentionShape shape, int max_decode_rows,
                               const DeviceFeatures& device);

// Once per process, before the first launch or capture: raises the shared memory limits
// of the kernels that the device has.
cudaError_t PrepareDecodeAttention(const DeviceFeatures& device);
cudaError_t PreparePrefillAttention(const DeviceFeatures& device);

// Decode rows: one kernel does it all. bf16 and fp16; needs has_warp_products.
cudaError_t DecodeAttention(const AttentionArgs& args, const DeviceFeatures& device,
                            cudaStream_t stream);

// Prefill rows: rotates and stores their keys and values (queries are rotated in
// place in qkv, hence not const in effect), then attends. bf16 and fp16; needs has_wgmma.
cudaError_t StorePrefillKv(const AttentionArgs& args, cudaStream_t stream);
cudaError_t PrefillAttention(const AttentionArgs& args, const DeviceFeatures& device,
                             cudaStream_t stream);

// Any row, any dtype, any device, slow and plain: what fp32 models run, what stands in
// for the others where they do not run, and what they are tested against. Decode rows
// count as prefill rows of one token here: it handles all R rows. Rotates q and k itself,
// stores KV, then attends (two kernels). At most 65,535 tokens.
cudaError_t ReferenceAttention(const AttentionArgs& args, int num_rows, int num_tokens,
                               cudaStream_t stream);

}  // namespace weft::worker::ops::cuda
