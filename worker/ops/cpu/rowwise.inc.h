// What happens to each token by itself: norm, rotation with the KV write, silu.
#pragma once

#include "worker/ops/cpu/vec.h"

namespace weft::worker::ops::cpu {
namespace {

template <class T>
void RmsNorm(const NormArgs& args, int64_t t_begin, int64_t t_end) {
  const T* weight = static_cast<const T*>(args.weight);
  const int64_t whole = args.hidden / kLanes * kLanes;
  for (int64_t t = t_begin; t < t_end; ++t) {
    const T* x = static_cast<const T*>(args.x) + t * args.hidden;
    T* out = static_cast<T*>(args.out) + t * args.hidden;
    Vec squares = {};
    float rest = 0;
    for (int64_t i = 0; i < whole; i += kLanes) squares = squares + Load(x + i) * Load(x + i);
    for (int64_t i = whole; i < args.hidden; ++i) rest += ToFloat(x[i]) * ToFloat(x[i]);
    const float mean = (Sum(squares) + rest) / static_cast<float>(args.hidden);
    const float scale = 1 / __builtin_sqrtf(mean + args.epsilon);
    for (int64_t i = 0; i < whole; i += kLanes) {
      Store(out + i, Load(x + i) * scale * Load(weight + i));
    }
    for (int64_t i = whole; i < args.hidden; ++i) {
      StoreOne(out + i, ToFloat(x[i]) * scale * ToFloat(weight[i]));
    }
  }
}

template <class T>
void Add(const AddArgs& args, int64_t begin, int64_t end) {
  const T* delta = static_cast<const T*>(args.delta);
  T* out = static_cast<T*>(args.out);
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) Store(out + i, Load(out + i) + Load(delta + i));
  for (; i < end; ++i) StoreOne(out + i, ToFloat(out[i]) + ToFloat(delta[i]));
}

// Where dimension d of a token's key stands in its block: see KvPointers.
WEFT_INLINE int64_t KeyPlace(const float*, int d, int token) { return d * kBlockTokens + token; }
WEFT_INLINE int64_t KeyPlace(const BF16*, int d, int token) {
  return (d / 2 * kBlockTokens + token) * 2 + d % 2;
}

// x[i] and x[i + D/2] turn by the angle of i; sixteen i at a time where they last.
template <class T>
WEFT_INLINE void Rotate(const T* x, const float* cos, const float* sin, int half, T* out) {
  int i = 0;
  for (; i + kLanes <= half; i += kLanes) {
    const Vec a = Load(x + i), b = Load(x + half + i);
    const Vec c = LoadAs<Vec>(cos + i), s = LoadAs<Vec>(sin + i);
    Store(out + i, a * c - b * s);
    Store(out + half + i, b * c + a * s);
  }
  for (; i < half; ++i) {
    const float a = ToFloat(x[i]), b = ToFloat(x[half + i]);
    StoreOne(out + i, a * cos[i] - b * sin[i]);
    StoreOne(out + half + i, b * cos[i] + a * sin[i]);
  }
}

template <class T>
void RopeAndStore(const RopeArgs& args, int64_t t_begin, int64_t t_end) {
  const auto [num_heads, num_kv_heads, head_dim] = args.dims;
  const int half = head_dim / 2;
  const int64_t stride = int64_t{num_heads + 2 * num_kv_heads} * head_dim;
  for (int64_t t = t_begin; t < t_end; ++t) {
    T* q = static_cast<T*>(args.qkv) + t * stride;
    const T* k = q + num_heads * head_dim;
    const T* v = k + num_kv_heads * head_dim;
    const float* cos = args.cos + t * half;
    const float* sin = args.sin + t * half;
    for (int h = 0; h < num_heads; ++h) {
      Rotate(q + h * head_dim, cos, sin, half, q + h * head_dim);
    }
    const int64_t block = args.slots[t] / kBlockTokens;
    const int token = args.slots[t] % kBlockTokens;
    for (int h = 0; h < num_kv_heads; ++h) {
      T rotated[kMaxHeadDim];
      Rotate(k + h * head_dim, cos, sin, half, rotated);
      const int64_t place = (block * num_kv_heads + h) * kBlockTokens * head_dim;
      T* keys = static_cast<T*>(args.kv.keys) + place;
      T* values = static_cast<T*>(args.kv.values) + place;
      for (int d = 0; d < head_dim; ++d) keys[KeyPlace(keys, d, token)] = rotated[d];
      __builtin_memcpy(values + token * head_dim, v + h * head_dim, head_dim * sizeof(T));
    }
  }
}

// x / (1 + exp(-x)), and 0 where that is below 1e-35 anyway: exp must not overflow.
WEFT_INLINE Vec Silu(Vec x) {
  const IVec tiny = x < -87.0f;
  const Vec bounded = tiny ? Splat(0) : x;
  return bounded / (1.0f + Exp(-bounded));
}

template <class T>
void SiluMul(const SiluArgs& args, int64_t t_begin, int64_t t_end) {
  for (int64_t t = t_begin; t < t_end; ++t) {
    const T* gate = static_cast<const T*>(args.gate_up) + t * 2 * args.intermediate;
    const T* up = gate + args.intermediate;
    T* out = static_cast<T*>(args.out) + t * args.intermediate;
    int64_t i = 0;
    for (; i + kLanes <= args.intermediate; i += kLanes) {
      Store(out + i, Silu(Load(gate + i)) * Load(up + i));
    }
    for (; i < args.intermediate; ++i) {
      StoreOne(out + i, Silu(Splat(ToFloat(gate[i])))[0] * ToFloat(up[i]));
    }
  }
}

}  // namespace
}  // namespace weft::worker::ops::cpu
