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
typedef float Vec8 __attribute__((vector_size(32)));
typedef float Vec4 __attribute__((vector_size(16)));
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

// The lanes folded in halves: 16, 8, 4, 2, 1.
template <class Fold8, class Fold4>
WEFT_INLINE float FoldLanes(Vec v, Fold8 fold8, Fold4 fold4) {
  const Vec8 a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
  const Vec8 b = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  const Vec8 c = fold8(a, b);
  Vec4 d =
      fold4(__builtin_shufflevector(c, c, 0, 1, 2, 3), __builtin_shufflevector(c, c, 4, 5, 6, 7));
  d = fold4(d, __builtin_shufflevector(d, d, 2, 3, 0, 1));
  d = fold4(d, __builtin_shufflevector(d, d, 1, 0, 3, 2));
  return d[0];
}

WEFT_INLINE float Sum(Vec v) {
  return FoldLanes(
      v, [](Vec8 a, Vec8 b) { return a + b; }, [](Vec4 a, Vec4 b) { return a + b; });
}

// Sum of each of R vectors, `stride` apart, to the bit what Sum gives: eight at once
// fold the same lanes in the same order, packed beside each other.
template <int R>
WEFT_INLINE void SumEach(const Vec* v, int stride, float* sums) {
  if constexpr (R != 8) {
    for (int r = 0; r < R; ++r) sums[r] = Sum(v[r * stride]);
  } else {
    Vec a[4], b[2];
    for (int i = 0; i < 4; ++i) {  // 8 lanes of each of two
      const Vec x = v[2 * i * stride], y = v[(2 * i + 1) * stride];
      a[i] = __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
             __builtin_shufflevector(x, y, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30,
                                     31);
    }
    for (int i = 0; i < 2; ++i) {  // 4 lanes of each of four
      const Vec x = a[2 * i], y = a[2 * i + 1];
      b[i] =
          __builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
          __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    }
    const Vec c =  // 2 lanes of each of eight
        __builtin_shufflevector(b[0], b[1], 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28,
                                29) +
        __builtin_shufflevector(b[0], b[1], 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30,
                                31);
    const Vec8 d = __builtin_shufflevector(c, c, 0, 2, 4, 6, 8, 10, 12, 14) +
                   __builtin_shufflevector(c, c, 1, 3, 5, 7, 9, 11, 13, 15);
    __builtin_memcpy(sums, &d, sizeof(d));
  }
}

WEFT_INLINE float Max(Vec v) {
  return FoldLanes(
      v, [](Vec8 a, Vec8 b) { return a > b ? a : b; },
      [](Vec4 a, Vec4 b) { return a > b ? a : b; });
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
