// Matrix products. Each output is one dot product: a single vector of partial
// sums over k in ascending order, then the lanes. Tiles only share loads.
#pragma once

#include "worker/ops/cpu/vec.h"

namespace weft::worker::ops::cpu {
namespace {

// Rows and columns of a tile. Sums and operands fill the registers; more rows than
// columns, because a tile's rows stay in the first-level cache from one tile to the
// next and the columns come from the second.
#if defined(__AVX512F__)
constexpr int kTileRows = 8;
constexpr int kTileColumns = 3;
#else
constexpr int kTileRows = 2;
constexpr int kTileColumns = 2;
#endif

// Numbers of k gone through at a time: kTileRows rows of them fit the first-level
// cache; the sums wait in memory meanwhile.
constexpr int64_t kDepth = 2048;
// Columns that share one pass over the rows, at most, and what their weights may
// take so that they stay in the second-level cache.
constexpr int kPanelColumns = 48;
constexpr int64_t kPanelBytes = 256 << 10;
static_assert(kPanelColumns % kTileColumns == 0);

// A few rows wait for the weights' way from memory. They go through them as one
// stream from end to end, which interleaved columns would halve the speed of, and
// no more rows at a time than leave the stream its pace.
constexpr int kStreamRows = 4;
// From so many rows on, tiles are faster in spite of it.
constexpr int kMinTiledRows = 32;

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

// A tile of R rows by kTileColumns, or by the fewer that a panel ends with.
template <class T, int R>
WEFT_INLINE void AddTile(int columns, const T* x, const T* w, int64_t stride, int64_t count,
                         Vec* sums) {
  if (columns == kTileColumns) {
    AddProducts<T, R, kTileColumns>(x, w, stride, count, sums);
    return;
  }
  for (int c = 0; c < columns; ++c) {
    Vec column[R];
    for (int r = 0; r < R; ++r) column[r] = sums[r * kTileColumns + c];
    AddProducts<T, R, 1>(x, w + c * stride, stride, count, column);
    for (int r = 0; r < R; ++r) sums[r * kTileColumns + c] = column[r];
  }
}

template <class T, class Out, int R>
WEFT_INLINE void StoreTile(int columns, const GemmArgs& args, int64_t row, int64_t n,
                           const Vec* sums) {
  const T* bias = static_cast<const T*>(args.bias);
  Out* out = static_cast<Out*>(args.out) + row * args.n + n;
  for (int c = 0; c < columns; ++c) {
    float column[R];
    SumEach<R>(sums + c, kTileColumns, column);
    const float shift = bias == nullptr ? 0 : ToFloat(bias[n + c]);
    for (int r = 0; r < R; ++r) StoreOne(out + r * args.n + c, column[r] + shift);
  }
}

// R rows by the panel's columns [n_begin, n_end).
template <class T, class Out, int R>
void RowsTimesPanel(const GemmArgs& args, int64_t row, int64_t n_begin, int64_t n_end) {
  const T* x = static_cast<const T*>(args.x) + row * args.k;
  const T* w = static_cast<const T*>(args.w);
  const auto columns_at = [&](int64_t n) {
    return n_end - n < kTileColumns ? static_cast<int>(n_end - n) : kTileColumns;
  };
  if (args.k <= kDepth) {
    for (int64_t n = n_begin; n < n_end; n += kTileColumns) {
      Vec sums[R * kTileColumns] = {};
      AddTile<T, R>(columns_at(n), x, w + n * args.k, args.k, args.k, sums);
      StoreTile<T, Out, R>(columns_at(n), args, row, n, sums);
    }
    return;
  }
  Vec sums[kPanelColumns / kTileColumns][R * kTileColumns] = {};
  for (int64_t k = 0; k < args.k; k += kDepth) {
    const int64_t count = args.k - k < kDepth ? args.k - k : kDepth;
    for (int64_t n = n_begin, tile = 0; n < n_end; n += kTileColumns, ++tile) {
      AddTile<T, R>(columns_at(n), x + k, w + n * args.k + k, args.k, count, sums[tile]);
    }
  }
  for (int64_t n = n_begin, tile = 0; n < n_end; n += kTileColumns, ++tile) {
    StoreTile<T, Out, R>(columns_at(n), args, row, n, sums[tile]);
  }
}

// R rows by columns [n_begin, n_end), one column after another.
template <class T, class Out, int R>
void RowsTimesStream(const GemmArgs& args, int64_t row, int64_t n_begin, int64_t n_end) {
  const T* x = static_cast<const T*>(args.x) + row * args.k;
  const T* w = static_cast<const T*>(args.w);
  const T* bias = static_cast<const T*>(args.bias);
  Out* out = static_cast<Out*>(args.out) + row * args.n;
  for (int64_t n = n_begin; n < n_end; ++n) {
    Vec sums[R] = {};
    AddProducts<T, R, 1>(x, w + n * args.k, args.k, args.k, sums);
    float column[R];
    SumEach<R>(sums, 1, column);
    const float shift = bias == nullptr ? 0 : ToFloat(bias[n]);
    for (int r = 0; r < R; ++r) StoreOne(out + r * args.n + n, column[r] + shift);
  }
}

// Rows [row, args.m) by columns [n_begin, n_end), a few rows at a time.
template <class T, class Out>
void StreamRows(const GemmArgs& args, int64_t row, int64_t n_begin, int64_t n_end) {
  static_assert(kStreamRows == 4);
  for (; row + 4 <= args.m; row += 4) RowsTimesStream<T, Out, 4>(args, row, n_begin, n_end);
  switch (args.m - row) {
    case 3:
      return RowsTimesStream<T, Out, 3>(args, row, n_begin, n_end);
    case 2:
      return RowsTimesStream<T, Out, 2>(args, row, n_begin, n_end);
    case 1:
      return RowsTimesStream<T, Out, 1>(args, row, n_begin, n_end);
  }
}

template <class T, class Out>
void Gemm(const GemmArgs& args, int64_t n_begin, int64_t n_end) {
  if (args.m <= kStreamRows) return StreamRows<T, Out>(args, 0, n_begin, n_end);
  const int64_t fitting = kPanelBytes / (args.k * static_cast<int64_t>(sizeof(T)));
  const int64_t panel = fitting >= kPanelColumns  ? kPanelColumns
                        : fitting >= kTileColumns ? fitting / kTileColumns * kTileColumns
                                                  : kTileColumns;
  for (int64_t n = n_begin; n < n_end; n += panel) {
    const int64_t end = n + panel < n_end ? n + panel : n_end;
    int64_t row = 0;
    if (args.m >= kMinTiledRows) {
      for (; row + kTileRows <= args.m; row += kTileRows) {
        RowsTimesPanel<T, Out, kTileRows>(args, row, n, end);
      }
    }
    StreamRows<T, Out>(args, row, n, end);
  }
}

}  // namespace
}  // namespace weft::worker::ops::cpu
