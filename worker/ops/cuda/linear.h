// out[T, N] = f(x[T, K] . weight[N, K]^T): what the products of few tokens have in common.
// Sums are in fp32; bf16 or fp16; K a multiple of 64; all pointers 16-byte aligned.
#pragma once

#include "worker/ops/dtype.h"

namespace weft::worker::ops::cuda {

enum class Epilogue {
  kStore,    // out = product + bias (if given)
  kAdd,      // out += product
  kSiluMul,  // weight is [2 N, K], gate first: out = silu(gate . x) * (up . x)
  kFloat,    // out = product, float32
};

struct LinearArgs {
  DType dtype = DType::kBFloat16;
  Epilogue epilogue = Epilogue::kStore;
  int num_tokens = 0;  // T
  int n = 0, k = 0;    // columns of out, columns of x

  const void* x = nullptr;
  // Where x is normalized first (not with kAdd): [K]
  const void* norm_weight = nullptr;
  float epsilon = 0;
  const void* weight = nullptr;
  const void* bias = nullptr;  // [N], kStore only
  void* out = nullptr;         // [T, N]; never x
};

}  // namespace weft::worker::ops::cuda
