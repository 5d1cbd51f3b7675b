#include "worker/ops/cuda/tensor_map.h"

#include <cstdint>

namespace weft::worker::ops::cuda {
namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

// From the driver at run time: nothing else here needs to be linked with it.
Encode FindEncode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
  if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                       cudaEnableDefault, &found) != cudaSuccess ||
      found != cudaDriverEntryPointSuccess) {
    return nullptr;
  }
  return reinterpret_cast<Encode>(function);
}

}  // namespace

cudaError_t EncodeMatrix(const void* data, int rows, int columns, int box_rows, int box_pieces,
                         CUtensorMap* map) {
  static const Encode encode = FindEncode();
  if (encode == nullptr) return cudaErrorNotSupported;
  constexpr int kElementBytes = 2;
  const cuuint64_t sizes[] = {kMapColumns, static_cast<cuuint64_t>(rows),
                              static_cast<cuuint64_t>(columns / kMapColumns)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(columns) * kElementBytes,
                                kMapColumns * kElementBytes};
  const cuuint32_t box[] = {kMapColumns, static_cast<cuuint32_t>(box_rows),
                            static_cast<cuuint32_t>(box_pieces)};
  const cuuint32_t steps[] = {1, 1, 1};
  // The type matters only to conversions, of which there are none.
  const CUresult result =
      encode(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<void*>(data), sizes, strides, box,
             steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

}  // namespace weft::worker::ops::cuda
