// The kinds of matrix product that a model's linear layers are.
#pragma once

#include <compare>
#include <cstdint>

#include "worker/ops/dtype.h"

namespace weft::worker::ops::cuda {

// out = x . weight^T (+ bias) (+ out).  x: [m, k], weight: [n, k] of `dtype`; bias:
// [n], out: [m, n] of `out_dtype`, which is `dtype` or float32. Sums are in fp32
// whatever the types, without TF32, and out is rounded once; but what is added to an
// `out` of 16 bits may be rounded before it is, as if each addition were a step of
// its own (cuBLASLt's kernels differ in this).
struct Gemm {
  DType dtype = DType::kBFloat16;
  DType out_dtype = DType::kBFloat16;
  int n = 0;
  int k = 0;
  bool has_bias = false;
  bool accumulate = false;  // adds to what `out` holds
  int m = 0;                // tokens; last, so that a layer's products sort together

  auto operator<=>(const Gemm&) const = default;
};

// The same layer, whatever the number of tokens.
constexpr Gemm WithTokens(Gemm gemm, int m) {
  gemm.m = m;
  return gemm;
}

}  // namespace weft::worker::ops::cuda
