// Depthwise convolutions: one vector of channels of one image at a time, from a padded copy in the cache.
#pragma once
#include "passes.h"

namespace kernels {

constexpr Index BAND_BYTES = 192 * 1024;  // of the padded copy
constexpr int STEP = 8;                   // output pixels at a time

static inline Index floor_divide(Index a, Index b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// Weights [channels][kernel * kernel] as [vectors][kernel * kernel][LANES], zeros behind.
static inline void pack_depthwise(const Layer& l, const float* weight, float* out) {
  const Index taps = l.kernel * l.kernel;
  std::memset(out, 0, std::size_t(l.padded_out * taps) * 4);
  for (Index c = 0; c < l.out; ++c)
    for (Index i = 0; i < taps; ++i) out[(c / LANES * taps + i) * LANES + c % LANES] = weight[c * taps + i];
}

// Copy rows [first, first + rows) and columns from `left` before the image on, zeros outside.
template <class READ>
static inline void copy_band(Index height, Index width, Index first, Index rows, Index left, Index columns,
                             float* band, READ read) {
  for (Index i = 0; i < rows; ++i) {
    float* row = band + i * columns * LANES;
    Index y = first + i;
    if (y < 0 || y >= height) {
      std::memset(row, 0, std::size_t(columns * LANES) * 4);
      continue;
    }
    Index inside = std::min(width, columns - left);
    std::memset(row, 0, std::size_t(left * LANES) * 4);
    for (Index x = 0; x < inside; ++x) store(row + (left + x) * LANES, read(y * width + x));
    Index behind = left + inside;
    std::memset(row + behind * LANES, 0, std::size_t((columns - behind) * LANES) * 4);
  }
}

static inline void copy_value(const Layer& l, const Value& v, Index image, Index c, Index first, Index rows,
                              Index columns, float* band) {
  const float* from = v.data + image * v.area * v.width + c;
  const Vec gate = v.gates ? load(v.gates + image * v.width + c) : splat(1.f);
  if (v.scale == nullptr) {
    copy_band(l.in_rows, l.in_columns, first, rows, l.left, columns, band,
              [&](Index p) { return load(from + p * v.width) * gate; });
    return;
  }
  const Vec scale = load(v.scale + c), shift = load(v.shift + c);
  with_activation(v.activation, [&](auto act) {
    copy_band(l.in_rows, l.in_columns, first, rows, l.left, columns, band, [&](Index p) {
      return activate<act.value>(load(from + p * v.width) * scale + shift) * gate;
    });
  });
}

// COUNT neighbouring pixels of an output row, from rows of the band.
template <int K, int S, int COUNT, class EMIT>
static inline void stencil(const float* band, Index columns, const float* weights, Index x, EMIT emit) {
  Vec sums[COUNT];
#pragma GCC unroll 8
  for (int t = 0; t < COUNT; ++t) sums[t] = Vec{};
#pragma GCC unroll 5
  for (int i = 0; i < K; ++i) {
    const float* row = band + (i * columns + x * S) * LANES;
#pragma GCC unroll 5
    for (int j = 0; j < K; ++j) {
      Vec w = load(weights + (i * K + j) * LANES);
#pragma GCC unroll 8
      for (int t = 0; t < COUNT; ++t) sums[t] += w * load(row + (t * S + j) * LANES);
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < COUNT; ++t) emit(x + t, sums[t]);
}

template <int K, int S, class EMIT>
static inline void stencil_row(const float* band, Index columns, const float* weights, Index width, EMIT emit) {
  Index x = 0;
  for (; x + STEP <= width; x += STEP) stencil<K, S, STEP>(band, columns, weights, x, emit);
  for (; x + 3 < width; x += 4) stencil<K, S, 4>(band, columns, weights, x, emit);
  for (; x < width; ++x) stencil<K, S, 1>(band, columns, weights, x, emit);
}

// Call emit(pixel of the image, result) for all output pixels of one vector of channels.
template <int K, int S, class EMIT>
static void depthwise_map(const Layer& l, const Value& v, Index image, Index c, const float* weights,
                          EMIT emit) {
  const Index columns = (l.columns - 1) * S + K;
  const Index fitting = BAND_BYTES / (columns * LANES * 4);
  const Index height = std::min(l.rows, std::max<Index>(1, (fitting - K) / S + 1));
  float* band = scratch(0, ((height - 1) * S + K) * columns * LANES);
  for (Index first = 0; first < l.rows; first += height) {
    Index last = std::min(l.rows, first + height);
    copy_value(l, v, image, c, first * S - l.top, (last - first - 1) * S + K, columns, band);
    for (Index y = first; y < last; ++y)
      stencil_row<K, S>(band + (y - first) * S * columns * LANES, columns, weights, l.columns,
                        [&](Index x, Vec result) { emit(y * l.columns + x, result); });
  }
}

// Sums over one band for the weight gradient: result pixel times input.
template <int K, int S>
static inline void weight_gradient_row(const float* band, Index columns, const float* d, Index width,
                                       float* sums) {
#pragma GCC unroll 5
  for (int i = 0; i < K; ++i) {
    Vec row[K];
#pragma GCC unroll 5
    for (int j = 0; j < K; ++j) row[j] = load(sums + (i * K + j) * LANES);
    const float* from = band + i * columns * LANES;
    for (Index x = 0; x < width; ++x) {
      Vec g = load(d + x * LANES);
#pragma GCC unroll 5
      for (int j = 0; j < K; ++j) row[j] += g * load(from + (x * S + j) * LANES);
    }
#pragma GCC unroll 5
    for (int j = 0; j < K; ++j) store(sums + (i * K + j) * LANES, row[j]);
  }
}

// The input's gradient in a row y: emit(x, gradient). `d` is a copy of the result's gradient whose first row
// is `d_first` and whose first column is `d_left`.
template <int K, int S, class EMIT>
static inline void input_gradient_row(const Layer& l, const float* d, Index d_first, Index d_left,
                                      Index d_columns, const float* weights, Index y, EMIT emit) {
  for (Index phase = 0; phase < S; ++phase) {
    const Index count = (l.in_columns - phase + S - 1) / S;
    const Index i0 = (y + l.top) % S, j0 = (phase + l.left) % S;
    auto some = [&](Index first, auto number) {
      constexpr int COUNT = number.value;
      Vec sums[COUNT];
#pragma GCC unroll 8
      for (int t = 0; t < COUNT; ++t) sums[t] = Vec{};
      for (Index i = i0; i < K; i += S) {
        const float* row = d + ((y + l.top - i) / S - d_first) * d_columns * LANES;  // divides exactly
        for (Index j = j0; j < K; j += S) {
          Vec w = load(weights + (i * K + j) * LANES);
          const float* from = row + (first + (phase + l.left - j) / S - d_left) * LANES;
#pragma GCC unroll 8
          for (int t = 0; t < COUNT; ++t) sums[t] += w * load(from + t * LANES);
        }
      }
#pragma GCC unroll 8
      for (int t = 0; t < COUNT; ++t) emit((first + t) * S + phase, sums[t]);
    };
    Index x = 0;
    for (; x + STEP <= count; x += STEP) some(x, std::integral_constant<int, STEP>());
    for (; x + 3 < count; x += 4) some(x, std::integral_constant<int, 4>());
    for (; x < count; ++x) some(x, std::integral_constant<int, 1>());
  }
}

// Gradients of one vector of channels of one image: the weights' are added to `weight_sums`, the input's are
// handed to `done(first row, last row, [pixel][LANES])` in bands.
template <int K, int S, class DONE>
static void depthwise_gradients(const Layer& l, const Value& v, const Source& s, Index image, Index c,
                                const float* weights, float* weight_sums, DONE done) {
  const Index columns = (l.columns - 1) * S + K;
  const Index fitting = BAND_BYTES / (columns * LANES * 4);
  const Index height = std::min(l.rows, std::max<Index>(1, (fitting - K) / S + 1));
  const Index d_left = floor_divide(l.left - (K - 1), S);
  const Index d_columns = std::max(floor_divide(l.in_columns - 1 + l.left, S) + 1, l.columns) - d_left;
  float* band = scratch(0, ((height - 1) * S + K) * columns * LANES);
  float* d = scratch(1, (height + 2 * K + 2) * d_columns * LANES);
  float* dx = scratch(2, (height + 1) * S * l.in_columns * LANES);
  const Vec a = load(s.a + c) * drop_factor(s.drop, image), b = load(s.b + c), e = load(s.c + c);
  const float *g = s.g + image * s.area * s.width + c, *raw = s.raw + image * s.area * s.width + c;
  for (Index first = 0; first < l.rows; first += height) {
    const Index last = std::min(l.rows, first + height);
    const Index in_first = first * S, in_last = last == l.rows ? l.in_rows : std::min(l.in_rows, last * S);
    const Index d_first = std::min(first, floor_divide(in_first + l.top - (K - 1), S));
    const Index d_last = std::max(last, floor_divide(in_last - 1 + l.top, S) + 1);
    copy_value(l, v, image, c, first * S - l.top, (last - first - 1) * S + K, columns, band);
    copy_band(l.rows, l.columns, d_first, d_last - d_first, -d_left, d_columns, d, [&](Index p) {
      return a * load(g + p * s.width) + (b * load(raw + p * s.width) + e);
    });
    for (Index y = first; y < last; ++y)
      weight_gradient_row<K, S>(band + (y - first) * S * columns * LANES, columns,
                                d + ((y - d_first) * d_columns - d_left) * LANES, l.columns, weight_sums);
    for (Index y = in_first; y < in_last; ++y) {
      float* row = dx + (y - in_first) * l.in_columns * LANES;
      input_gradient_row<K, S>(l, d, d_first, d_left, d_columns, weights, y,
                               [&](Index x, Vec gradient) { store(row + x * LANES, gradient); });
    }
    done(in_first, in_last, dx);
  }
}

// Call f with kernel and stride as compile-time constants.
template <class F>
static inline void with_kernel(const Layer& l, F f) {
  std::integral_constant<int, 3> three;
  std::integral_constant<int, 5> five;
  std::integral_constant<int, 1> one;
  std::integral_constant<int, 2> two;
  if (l.kernel == 3) {
    l.stride == 1 ? f(three, one) : f(three, two);
  } else {
    l.stride == 1 ? f(five, one) : f(five, two);
  }
}

}  // namespace kernels
