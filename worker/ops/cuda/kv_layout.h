// How keys and values of one block lie in the pool, shared by the kernels that
// write them and those that read them.
//
//   pool   [layer][block][kv head] tiles
//   tile   keys [16 tokens][D], values [16 tokens][D], then for fp8 also
//          key scales [16] and value scales [16], float
//
// A tile is contiguous so that one bulk copy brings it into shared memory. A token's
// row of more than 128 bytes is cut in halves: first all tokens' first halves, 128
// bytes each, then all second ones. Within a row (or half) the 16-byte chunks are
// permuted (ChunkOffset), so that reading the same chunk of eight tokens from there
// meets eight different banks: the order that ldmatrix wants. The halves, 16 rows
// of 128 bytes, are also what wgmma calls the 128-byte swizzle: the halves of
// several tiles, one after another at a multiple of 1024 bytes, are an operand.
//
// A number in fp8 (e4m3) stands for number * scale[token], with
// scale = largest magnitude of the row / 448.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define WEFT_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define WEFT_HOST_DEVICE inline
#endif

namespace weft::worker::ops::cuda {

// Tokens in a block. As ops::kBlockTokens; here without its header.
inline constexpr int kTileTokens = 16;

// Largest finite e4m3.
inline constexpr float kFp8Max = 448.0f;

template <int kHeadDim, int kElementBytes>
struct KvTile {
  static constexpr bool kHasScales = kElementBytes == 1;
  static constexpr int kRowBytes = kHeadDim * kElementBytes;
  static constexpr int kChunksPerRow = kRowBytes / 16;
  static constexpr int kHalfBytes = kTileTokens * 128;  // 128 bytes of each token
  static constexpr int kKeysOffset = 0;                 // bytes, as all below
  static constexpr int kValuesOffset = kTileTokens * kRowBytes;
  static constexpr int kKeyScalesOffset = 2 * kTileTokens * kRowBytes;
  static constexpr int kValueScalesOffset = kKeyScalesOffset + kTileTokens * 4;
  static constexpr int kBytes =
      2 * kTileTokens * kRowBytes + (kHasScales ? 2 * kTileTokens * 4 : 0);
  static_assert((kRowBytes == 64 || kRowBytes % 128 == 0) && kBytes % 16 == 0);

  // Bytes from the keys' (or values') start to chunk `chunk` of token `token` (0..15).
  // A row of 64 bytes shares 128 bytes of banks with its neighbour.
  WEFT_HOST_DEVICE static constexpr int ChunkOffset(int token, int chunk) {
    if (kRowBytes < 128) return token * kRowBytes + (chunk ^ ((token >> 1) & 3)) * 16;
    return chunk / 8 * kHalfBytes + token * 128 + ((chunk % 8) ^ (token & 7)) * 16;
  }
};

// For sizes that are known at run time only.
inline constexpr int64_t KvTileBytes(int head_dim, int element_bytes) {
  return int64_t{2} * kTileTokens * head_dim * element_bytes +
         (element_bytes == 1 ? 2 * kTileTokens * 4 : 0);
}

}  // namespace weft::worker::ops::cuda
