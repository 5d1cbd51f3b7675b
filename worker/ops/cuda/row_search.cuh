// Which row of a batch a token belongs to.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace weft::worker::ops::cuda {

// Of `num_rows` rows from `first_row` on, the last that starts at or before `token`.
// `row_starts`: ops::Batch's.
__device__ __forceinline__ int RowOf(const int32_t* row_starts, int first_row, int num_rows,
                                     int token) {
  int row = first_row;
  int end = first_row + num_rows;
  while (end - row > 1) {
    const int middle = (row + end) / 2;
    if (row_starts[middle] <= token) {
      row = middle;
    } else {
      end = middle;
    }
  }
  return row;
}

}  // namespace weft::worker::ops::cuda
