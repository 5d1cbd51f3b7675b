// A matrix product for some dozens of tokens: as in SkinnyLinear reading the weight is
// all, but tokens are enough for Hopper's warpgroup multiply, which takes 64 at once.
//
// Weights and x stream through a ring in shared memory side by side, 64 columns at a time;
// the weights before the kernel in front has ended, since they do not depend on it. How a
// cluster of blocks divides the work goes by the epilogue, as a layer's products are:
//   kSiluMul       many rows of weight: each block a tile of them over all of K. The
//                  blocks share x: each brings a part of its rows to all.
//   kStore, kAdd   few rows: all blocks one tile, each a part of K. Each adds up the
//                  parts of some tokens, which the others write into its shared memory.
//
// As in SkinnyLinear the product is of x * norm_weight, and a token's sums are scaled at the
// end: x goes through registers, and its squares are added up on the way.
//
// Of linear.h, with a norm but for kAdd. 1 <= T <= kMaxTileTokens, N a multiple of 8, K at least
// 512 with kStore and kAdd, at most 8,192 with a norm; needs has_wgmma.
#pragma once

#include <cuda_runtime.h>

#include "worker/ops/cuda/device_features.h"
#include "worker/ops/cuda/linear.h"

namespace weft::worker::ops::cuda {

inline constexpr int kMaxTileTokens = 64;

// From so many tokens on it is faster than SkinnyLinear (measured on an H100).
inline constexpr int kMinTileTokens = 13;

// Whether the device has the kernel and it takes this shape.
bool FitsTileLinear(const LinearArgs& args, const DeviceFeatures& device);

// Once per process, before the first launch or capture.
cudaError_t PrepareTileLinear(const DeviceFeatures& device);

cudaError_t TileLinear(const LinearArgs& args, const DeviceFeatures& device, cudaStream_t stream);

}  // namespace weft::worker::ops::cuda
