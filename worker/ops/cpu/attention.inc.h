// Attention over paged KV, block by block with a running softmax. Every query
// goes through its blocks from the first position on, by itself.
#pragma once

#include "worker/ops/cpu/vec.h"

namespace weft::worker::ops::cpu {
namespace {

// Scores of one query against a block's sixteen tokens: q . k, unscaled. Two sums,
// so that one does not wait for the other.
template <int Q>
WEFT_INLINE void Scores(const float* const* q, const float* keys, int head_dim, Vec* scores) {
  Vec even[Q] = {}, odd[Q] = {};
  for (int d = 0; d < head_dim; d += 2) {
    const Vec k0 = LoadAs<Vec>(keys + d * kLanes), k1 = LoadAs<Vec>(keys + (d + 1) * kLanes);
    for (int i = 0; i < Q; ++i) {
      even[i] = even[i] + k0 * q[i][d];
      odd[i] = odd[i] + k1 * q[i][d + 1];
    }
  }
  for (int i = 0; i < Q; ++i) scores[i] = even[i] + odd[i];
}

template <int Q>
WEFT_INLINE void Scores(const BF16* const* q, const BF16* keys, int head_dim, Vec* scores) {
  Vec even[Q] = {}, odd[Q] = {};
  for (int d = 0; d < head_dim; d += 4) {
    const UVec k0 = LoadAs<UVec>(keys + d * kLanes);
    const UVec k1 = LoadAs<UVec>(keys + (d + 2) * kLanes);
    for (int i = 0; i < Q; ++i) {
      even[i] = Packed<BF16>::MulAdd(even[i], k0, UVec{} + LoadAs<uint32_t>(q[i] + d));
      odd[i] = Packed<BF16>::MulAdd(odd[i], k1, UVec{} + LoadAs<uint32_t>(q[i] + d + 2));
    }
  }
  for (int i = 0; i < Q; ++i) scores[i] = even[i] + odd[i];
}

// out[i] = out[i] * decay[i] + sum over the first `count` tokens of weight * value,
// for Q queries and 16 * N dimensions; `stride` numbers from one value, and from one
// out, to the next.
template <class T, int Q, int N>
WEFT_INLINE void AddValues(const T* values, int stride, const float (*weights)[kBlockTokens],
                           int count, const float* decay, float* out) {
  Vec sum[Q][N];
  for (int i = 0; i < Q; ++i) {
    for (int n = 0; n < N; ++n) sum[i][n] = LoadAs<Vec>(out + i * stride + n * kLanes) * decay[i];
  }
  for (int t = 0; t < count; ++t) {
    Vec value[N];
    for (int n = 0; n < N; ++n) value[n] = Load(values + t * stride + n * kLanes);
    for (int i = 0; i < Q; ++i) {
      for (int n = 0; n < N; ++n) sum[i][n] = sum[i][n] + value[n] * weights[i][t];
    }
  }
  for (int i = 0; i < Q; ++i) {
    for (int n = 0; n < N; ++n) Store(out + i * stride + n * kLanes, sum[i][n]);
  }
}

struct Query {
  float max = -__builtin_inff();
  float sum = 0;
  int num_keys = 0;  // it sees positions [0, num_keys)
};

// One block's sixteen tokens for Q queries. Those a query does not see have weight
// zero; past the last that any of them sees nothing is read.
template <class T, int Q>
WEFT_INLINE void AttendBlock(const T* const* q, const T* keys, const T* values, int head_dim,
                             float scale, int block_start, Query* queries, float* out) {
  static_assert(Q <= kLanes);
  Vec scores[Q];
  Scores<Q>(q, keys, head_dim, scores);
  const IVec lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  alignas(64) float weights[Q][kBlockTokens];
  Vec drop = {};  // by query: how much the maximum rises
  int most = 0;
  for (int i = 0; i < Q; ++i) {
    Query& query = queries[i];
    int count = query.num_keys - block_start;
    if (count <= 0) {
      Store(weights[i], Vec{});
      continue;
    }
    if (count > kBlockTokens) count = kBlockTokens;
    if (count > most) most = count;
    const Vec seen = lane < count ? scores[i] * scale : Splat(-__builtin_inff());
    const float block_max = Max(seen);
    const float max = block_max > query.max ? block_max : query.max;
    const Vec weight = Exp(seen - max);
    Store(weights[i], weight);
    scores[i] = weight;
    drop[i] = query.max - max;
    query.max = max;
  }
  if (most == 0) return;
  alignas(64) float decay[kLanes];
  Store(decay, Exp(drop));
  for (int i = 0; i < Q; ++i) {
    if (queries[i].num_keys > block_start) {
      queries[i].sum = queries[i].sum * decay[i] + Sum(scores[i]);
    }
  }
  int d = 0;
  for (; d + 64 <= head_dim; d += 64) {
    AddValues<T, Q, 4>(values + d, head_dim, weights, most, decay, out + d);
  }
  for (; d < head_dim; d += kLanes) {
    AddValues<T, Q, 1>(values + d, head_dim, weights, most, decay, out + d);
  }
}

// Queries taken through a block together: they share its keys and values, and
// their sums fill the registers. Six is the group of the 1.5B models.
#if defined(__AVX512F__)
constexpr int kQueries = 6;
#else
constexpr int kQueries = 2;
#endif

template <class T>
void Attend(const AttentionArgs& args, const AttentionTask& task) {
  const HeadDims& dims = args.dims;
  const int head_dim = dims.head_dim, group = dims.num_heads / dims.num_kv_heads;
  const int64_t qkv_stride = int64_t{dims.num_heads + 2 * dims.num_kv_heads} * head_dim;
  const int num_queries = task.num_tokens * group;
  const float scale = 1 / __builtin_sqrtf(static_cast<float>(head_dim));

  // Query i is head kv_head * group + i % group of token first_token + i / group.
  const T* q[kMaxGroup];
  Query queries[kMaxGroup];
  alignas(64) float sums[kMaxGroup * kMaxHeadDim];
  for (int i = 0; i < num_queries; ++i) {
    const int64_t token = task.first_token + i / group;
    const int head = task.kv_head * group + i % group;
    q[i] = static_cast<const T*>(args.qkv) + token * qkv_stride + head * head_dim;
    queries[i].num_keys = task.first_position + i / group + 1;
    for (int d = 0; d < head_dim; ++d) sums[i * head_dim + d] = 0;
  }

  const int num_keys = task.first_position + task.num_tokens;
  const int64_t block_size = int64_t{kBlockTokens} * head_dim;
  for (int start = 0; start < num_keys; start += kBlockTokens) {
    const int64_t block = task.blocks[start / kBlockTokens];
    const int64_t place = (block * dims.num_kv_heads + task.kv_head) * block_size;
    const T* keys = static_cast<const T*>(args.kv.keys) + place;
    const T* values = static_cast<const T*>(args.kv.values) + place;
    int i = 0;
    for (; i + kQueries <= num_queries; i += kQueries) {
      AttendBlock<T, kQueries>(q + i, keys, values, head_dim, scale, start, queries + i,
                               sums + i * head_dim);
    }
    for (; i < num_queries; ++i) {
      AttendBlock<T, 1>(q + i, keys, values, head_dim, scale, start, queries + i,
                        sums + i * head_dim);
    }
  }

  for (int i = 0; i < num_queries; ++i) {
    const int64_t token = task.first_token + i / group;
    const int head = task.kv_head * group + i % group;
    T* out = static_cast<T*>(args.out) + (token * dims.num_heads + head) * head_dim;
    const float inverse = 1 / queries[i].sum;
    for (int d = 0; d < head_dim; d += kLanes) {
      Store(out + d, LoadAs<Vec>(sums + i * head_dim + d) * inverse);
    }
  }
}

}  // namespace
}  // namespace weft::worker::ops::cpu
