// Matrix products of tiles: C[m][n] (+)= sum over k of A[m][k] * B[k][n], n in vectors.
#pragma once
#include "vector.h"

namespace kernels {

template <int ROWS, int COLUMNS>
static void tile_product(Index depth, const float* a, Index a_row, Index a_step, const float* b, Index b_step,
                         float* c, Index c_row, bool add) {
  Vec sums[ROWS][COLUMNS];
#pragma GCC unroll 16
  for (int m = 0; m < ROWS; ++m)
#pragma GCC unroll 2
    for (int n = 0; n < COLUMNS; ++n) sums[m][n] = add ? load(c + m * c_row + n * LANES) : Vec{};
  for (Index k = 0; k < depth; ++k) {
    Vec columns[COLUMNS];
#pragma GCC unroll 2
    for (int n = 0; n < COLUMNS; ++n) columns[n] = load(b + n * LANES);
#pragma GCC unroll 16
    for (int m = 0; m < ROWS; ++m) {
      Vec factor = splat(a[m * a_row]);
#pragma GCC unroll 2
      for (int n = 0; n < COLUMNS; ++n) sums[m][n] += factor * columns[n];
    }
    a += a_step;
    b += b_step;
  }
#pragma GCC unroll 16
  for (int m = 0; m < ROWS; ++m)
#pragma GCC unroll 2
    for (int n = 0; n < COLUMNS; ++n) store(c + m * c_row + n * LANES, sums[m][n]);
}

using TileProduct = void (*)(Index, const float*, Index, Index, const float*, Index, float*, Index, bool);

template <int... ROWS>
static TileProduct chosen(int rows, int columns, std::integer_sequence<int, ROWS...>) {
  static const TileProduct table[2][sizeof...(ROWS)] = {{tile_product<ROWS + 1, 1>...},
                                                        {tile_product<ROWS + 1, 2>...}};
  return table[columns - 1][rows - 1];
}

// `packed`: B consists of panels of two vectors (the last may have one), each stored [depth][columns].
static inline void product(Index rows, Index depth, Index vectors, const float* a, Index a_row, Index a_step,
                           const float* b, Index b_step, bool packed, float* c, Index c_row, bool add) {
  for (Index n = 0; n < vectors; n += 2) {
    int columns = int(std::min<Index>(2, vectors - n));
    const float* panel = packed ? b + n * LANES * depth : b + n * LANES;
    Index step = packed ? columns * LANES : b_step;
    for (Index m = 0; m < rows; m += TILE_ROWS) {
      int height = int(std::min<Index>(TILE_ROWS, rows - m));
      chosen(height, columns, std::make_integer_sequence<int, TILE_ROWS>())(
          depth, a + m * a_row, a_row, a_step, panel, step, c + m * c_row + n * LANES, c_row, add);
    }
  }
}

// Pack B[k][n] = weight[n][k] (transposed) or weight[k][n], n from 0 to columns - 1, zeros behind.
static inline void pack(const float* weight, Index depth, Index columns, bool transposed, float* out,
                        Index first_vector, Index last_vector) {
  Index vectors = padded(columns) / LANES;
  for (Index n = first_vector; n < last_vector; n += 2) {
    Index width = std::min<Index>(2, vectors - n) * LANES;
    float* panel = out + n * LANES * depth;
    Index real = std::min(width, columns - n * LANES);
    if (transposed) {
      for (Index k0 = 0; k0 < depth; k0 += 16) {
        Index k1 = std::min(depth, k0 + 16);
        for (Index lane = 0; lane < real; ++lane) {
          const float* row = weight + (n * LANES + lane) * depth;
          for (Index k = k0; k < k1; ++k) panel[k * width + lane] = row[k];
        }
      }
    } else {
      for (Index k = 0; k < depth; ++k)
        std::memcpy(panel + k * width, weight + k * columns + n * LANES, std::size_t(real) * 4);
    }
    for (Index k = 0; k < depth && real < width; ++k)
      std::memset(panel + k * width + real, 0, std::size_t(width - real) * 4);
  }
}

}  // namespace kernels
