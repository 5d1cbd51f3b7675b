// Matrix products. Each output is one dot product: a single vector of partial
// sums over k in ascending order, then the lanes. Tiles only share loads.
#pragma once

#include "worker/ops/cpu/vec.h"

namespace weft::worker::ops::cpu {
namespace {

// Rows and columns of a tile: what fits the registers, sums and operands.
#if defined(__AVX512F__)
constexpr int kTileRows = 4;
constexpr int kTileColumns = 4;
#else
constexpr int kTileRows = 2;
constexpr int kTileColumns = 2;
#endif

// Numbers of k gone through at a time: a tile's rows and columns then stay in the
// first-level cache, and its sums wait in memory meanwhile.
constexpr int64_t kDepth = 2048;
// Columns that share one pass over the rows: their weights stay in the
// second-level cache.
constexpr int kPanelColumns = 64;

template <class T, int R, int C>
WEFT_INLINE void AddProducts(const T* x, const T* w, int64_t stride, int64_t count, Vec* sums) {
  using P = Packed<T>;
  Vec sum[R][C];
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sum[r][c] = sums[r * C + c];
  }
  int64_t k = 0;
  typename P::Reg b[C];
  for (; k + P::kCount <= count; k += P::kCount) {
    for (int c = 0; c < C; ++c) b[c] = LoadAs<typename P::Reg>(w + c * stride + k);
    for (int r = 0; r < R; ++r) {
      const auto a = LoadAs<typename P::Reg>(x + r * stride + k);
      for (int c = 0; c < C; ++c) sum[r][c] = P::MulAdd(sum[r][c], a, b[c]);
    }
  }
  if (k < count) {
    for (int c = 0; c < C; ++c) b[c] = LoadPart(w + c * stride + k, count - k);
    for (int r = 0; r < R; ++r) {
      const auto a = LoadPart(x + r * stride + k, count - k);
      for (int c = 0; c < C; ++c) sum[r][c] = P::MulAdd(sum[r][c], a, b[c]);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sums[r * C + c] = sum[r][c];
  }
}

template <class T, int R>
void AddTile(int columns, const T* x, const T* w, int64_t stride, int64_t count, Vec* sums) {
  if (columns == kTileColumns) {
    AddProducts<T, R, kTileColumns>(x, w, stride, count, sums);
  } else {
    for (int c = 0; c < columns; ++c) {
      Vec column[R];
      for (int r = 0; r < R; ++r) column[r] = sums[r * kTileColumns + c];
      AddProducts<T, R, 1>(x, w + c * stride, stride, count, column);
      for (int r = 0; r < R; ++r) sums[r * kTileColumns + c] = column[r];
    }
  }
}

// R rows by the panel's columns [n_begin, n_end).
template <class T, class Out, int R>
void RowsTimesPanel(const GemmArgs& args, int64_t row, int64_t n_begin, int64_t n_end) {
  const T* x = static_cast<const T*>(args.x) + row * args.k;
  const T* w = static_cast<const T*>(args.w);
  const T* bias = static_cast<const T*>(args.bias);
  Out* out = static_cast<Out*>(args.out) + row * args.n;
  constexpr int kTiles = kPanelColumns / kTileColumns;
  Vec sums[kTiles][R * kTileColumns] = {};
  for (int64_t k = 0; k < args.k; k += kDepth) {
    const int64_t count = args.k - k < kDepth ? args.k - k : kDepth;
    for (int64_t n = n_begin, tile = 0; n < n_end; n += kTileColumns, ++tile) {
      const int columns = n_end - n < kTileColumns ? n_end - n : kTileColumns;
      AddTile<T, R>(columns, x + k, w + n * args.k + k, args.k, count, sums[tile]);
    }
  }
  for (int64_t n = n_begin; n < n_end; ++n) {
    const Vec* tile = sums[(n - n_begin) / kTileColumns];
    for (int r = 0; r < R; ++r) {
      const float sum = Sum(tile[r * kTileColumns + (n - n_begin) % kTileColumns]);
      StoreOne(out + r * args.n + n, bias == nullptr ? sum : sum + ToFloat(bias[n]));
    }
  }
}

template <class T, class Out>
void Gemm(const GemmArgs& args, int64_t n_begin, int64_t n_end) {
  for (int64_t n = n_begin; n < n_end; n += kPanelColumns) {
    const int64_t end = n + kPanelColumns < n_end ? n + kPanelColumns : n_end;
    int64_t row = 0;
    for (; row + kTileRows <= args.m; row += kTileRows) {
      RowsTimesPanel<T, Out, kTileRows>(args, row, n, end);
    }
    for (; row < args.m; ++row) RowsTimesPanel<T, Out, 1>(args, row, n, end);
  }
}

}  // namespace
}  // namespace weft::worker::ops::cpu
