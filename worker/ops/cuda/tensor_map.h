// Tensor maps for matrices of 16-bit numbers, as the tensor copy engine reads them.
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

namespace weft::worker::ops::cuda {

// Columns of one piece: 128 bytes, the widest that shared memory is swizzled in.
inline constexpr int kMapColumns = 64;

// A row-major [rows, columns] matrix, columns a multiple of 64, seen as
// [columns / 64][rows][64]: a box is `box_rows` rows of `box_pieces` pieces, and lands
// as [box_pieces][box_rows] lines of 128 bytes whose 16-byte chunks are swizzled:
// chunk c of line l (counted from a multiple of 1024 bytes) lies at c ^ (l & 7).
// Coordinates of CopyBox: (0, row, piece). Costs the host about a microsecond.
cudaError_t EncodeMatrix(const void* data, int rows, int columns, int box_rows, int box_pieces,
                         CUtensorMap* map);

}  // namespace weft::worker::ops::cuda
