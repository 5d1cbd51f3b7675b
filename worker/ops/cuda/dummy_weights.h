// Made-up weights (worker/model/weight_source.h) where they are needed: bit for bit
// the host's numbers, at the speed of device memory.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "worker/ops/dtype.h"

namespace weft::worker::ops::cuda {

// As weight_source.h's DummyFormula.
struct DummyNumbers {
  uint64_t key = 0;
  float center = 0;
  float half_width = 0;
};

// out[i] = center + half_width * u(key + i), i below count, rounded to nearest even.
// out: device memory, 16-byte aligned. count = 0 launches nothing.
cudaError_t FillWithDummy(const DummyNumbers& numbers, DType dtype, int64_t count, void* out,
                          cudaStream_t stream);

}  // namespace weft::worker::ops::cuda
