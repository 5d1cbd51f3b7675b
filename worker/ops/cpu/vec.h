// Sixteen floats, whatever the instruction set: GCC's vectors, which the compiler
// splits where registers are shorter. Included by kernels_isa.cc only, which is
// compiled once per instruction set; everything here is local to it, so that no
// copy made for a newer processor is ever linked into another's path.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include "worker/ops/cpu/kernels.h"

namespace weft::worker::ops::cpu {
namespace {

constexpr int kLanes = 16;

typedef float Vec __attribute__((vector_size(64)));
typedef uint32_t UVec __attribute__((vector_size(64)));
typedef int32_t IVec __attribute__((vector_size(64)));
typedef uint16_t HalfVec __attribute__((vector_size(32)));

#define WEFT_INLINE static inline __attribute__((always_inline))

template <class V>
WEFT_INLINE V LoadAs(const void* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof(V));
  return v;
}

WEFT_INLINE Vec Splat(float x) { return Vec{} + x; }

WEFT_INLINE float ToFloat(float x) { return x; }
WEFT_INLINE float ToFloat(BF16 x) {
  const uint32_t bits = uint32_t{x.bits} << 16;
  float f;
  __builtin_memcpy(&f, &bits, 4);
  return f;
}

// Sixteen numbers of T as floats, and back with rounding to nearest even.
WEFT_INLINE Vec Load(const float* from) { return LoadAs<Vec>(from); }
WEFT_INLINE Vec Load(const BF16* from) {
  return (Vec)(__builtin_convertvector(LoadAs<HalfVec>(from), UVec) << 16);
}
WEFT_INLINE void Store(float* to, Vec v) { __builtin_memcpy(to, &v, sizeof(v)); }
WEFT_INLINE void Store(BF16* to, Vec v) {
  const UVec bits = (UVec)v;
  const UVec rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const UVec quiet = (bits >> 16) | 0x40u;  // a NaN stays one
  const UVec chosen = (IVec)(v == v) ? rounded : quiet;
  const HalfVec half = __builtin_convertvector(chosen, HalfVec);
  __builtin_memcpy(to, &half, sizeof(half));
}
WEFT_INLINE void StoreOne(float* to, float x) { *to = x; }
WEFT_INLINE void StoreOne(BF16* to, float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  to->bits = static_cast<uint16_t>(x == x ? (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16
                                          : (bits >> 16) | 0x40u);
}

WEFT_INLINE float Sum(Vec v) {
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) v[i] += v[i + width];
  }
  return v[0];
}

WEFT_INLINE float Max(Vec v) {
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) v[i] = v[i] > v[i + width] ? v[i] : v[i + width];
  }
  return v[0];
}

// exp, within 2 ulp for x <= 88; below -87 it is 0. Cephes' polynomial on
// [-ln 2 / 2, ln 2 / 2].
WEFT_INLINE Vec Exp(Vec x) {
  const IVec tiny = x < -87.0f;
  const Vec bounded = tiny ? Splat(0) : x;
  const Vec shifted = bounded * 1.44269504088896341f + 12582912.0f;  // 1.5 * 2^23: rounds
  const Vec n = shifted - 12582912.0f;
  Vec r = bounded - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  Vec p = Splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const IVec exponent = __builtin_convertvector(n, IVec) << 23;
  const Vec scaled = (Vec)((IVec)p + exponent);
  return tiny ? Splat(0) : scaled;
}

// What a dot product loads at a time: 64 bytes of T.
template <class T>
struct Packed;

template <>
struct Packed<float> {
  static constexpr int kCount = 16;
  using Reg = Vec;
  WEFT_INLINE Vec MulAdd(Vec sum, Reg a, Reg b) { return sum + a * b; }
};

template <>
struct Packed<BF16> {
  static constexpr int kCount = 32;
  using Reg = UVec;  // a pair of numbers in each lane
  WEFT_INLINE Vec MulAdd(Vec sum, Reg a, Reg b) {
#if defined(__AVX512BF16__)
    return (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
    sum = sum + (Vec)(a << 16) * (Vec)(b << 16);
    return sum + (Vec)(a & 0xffff0000u) * (Vec)(b & 0xffff0000u);
#endif
  }
};

// The first `count` numbers, zeros behind them.
template <class T>
WEFT_INLINE typename Packed<T>::Reg LoadPart(const T* from, int64_t count) {
  typename Packed<T>::Reg reg = {};
  __builtin_memcpy(&reg, from, count * sizeof(T));
  return reg;
}

}  // namespace
}  // namespace weft::worker::ops::cpu
