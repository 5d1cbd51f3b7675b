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

// out = out * decay + sum over the first `count` tokens of weight * value, for
// 16 * N dimensions.
template <class T, int N>
WEFT_INLINE void AddValues(const T* values, int stride, const float* weights, int count,
                           float decay, float* out) {
  Vec sum[N];
  for (int i = 0; i < N; ++i) sum[i] = LoadAs<Vec>(out + i * kLanes) * decay;
  for (int t = 0; t < count; ++t) {
    for (int i = 0; i < N; ++i) {
      sum[i] = sum[i] + Load(values + t * stride + i * kLanes) * weights[t];
    }
  }
  for (int i = 0; i < N; ++i) Store(out + i * kLanes, sum[i]);
}

struct Query {
  float max = -__builtin_inff();
  float sum = 0;
  int num_keys = 0;  // it sees positions [0, num_keys)
};

template <class T, int Q>
WEFT_INLINE void AttendBlock(const T* const* q, const T* keys, const T* values, int head_dim,
                             float scale, int block_start, Query* queries, float* out) {
  Vec scores[Q];
  Scores<Q>(q, keys, head_dim, scores);
  const IVec lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (int i = 0; i < Q; ++i) {
    Query& query = queries[i];
    int count = query.num_keys - block_start;
    if (count <= 0) continue;
    if (count > kBlockTokens) count = kBlockTokens;
    const Vec seen = lane < count ? scores[i] * scale : Splat(-__builtin_inff());
    const float block_max = Max(seen);
    const float max = block_max > query.max ? block_max : query.max;
    const Vec weights = Exp(seen - max);
    const float decay = Exp(Splat(query.max - max))[0];
    query.sum = query.sum * decay + Sum(weights);
    query.max = max;
    alignas(64) float weight[kBlockTokens];
    Store(weight, weights);
    float* to = out + i * head_dim;
    int d = 0;
    for (; d + 64 <= head_dim; d += 64) {
      AddValues<T, 4>(values + d, head_dim, weight, count, decay, to + d);
    }
    for (; d < head_dim; d += kLanes) {
      AddValues<T, 1>(values + d, head_dim, weight, count, decay, to + d);
    }
  }
}

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
    for (; i + 4 <= num_queries; i += 4) {
      AttendBlock<T, 4>(q + i, keys, values, head_dim, scale, start, queries + i,
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
