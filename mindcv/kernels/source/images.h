// Convolutions of NCHW images as matrix products of patches, and the order of tensors at both ends.
#pragma once
#include "passes.h"

namespace kernels {

// Patches of output pixels [begin, end): out[pixel][channel, kernel row, kernel column].
static inline void read_patches(const Layer& l, const float* images, Index begin, Index end, float* out) {
  const Index k = l.kernel, depth = l.depth(), plane = l.in_rows * l.in_columns;
  for (Index pixel = begin; pixel < end; ++pixel) {
    Index image = pixel / l.area(), at = pixel % l.area();
    Index y0 = at / l.columns * l.stride - l.top, x0 = at % l.columns * l.stride - l.left;
    float* patch = out + (pixel - begin) * depth;
    bool inside = y0 >= 0 && x0 >= 0 && y0 + k <= l.in_rows && x0 + k <= l.in_columns;
    for (Index c = 0; c < l.in; ++c) {
      const float* from = images + (image * l.in + c) * plane;
      for (Index i = 0; i < k; ++i) {
        Index y = y0 + i;
        for (Index j = 0; j < k; ++j) {
          Index x = x0 + j;
          bool in = inside || (y >= 0 && y < l.in_rows && x >= 0 && x < l.in_columns);
          *patch++ = in ? from[y * l.in_columns + x] : 0.f;
        }
      }
    }
  }
}

// Add the gradients of patches to that of the images, which lie in one thread's share.
static inline void add_patches(const Layer& l, const float* d, Index width, Index begin, Index end,
                               float* images) {
  const Index k = l.kernel, plane = l.in_rows * l.in_columns;
  for (Index pixel = begin; pixel < end; ++pixel) {
    Index image = pixel / l.area(), at = pixel % l.area();
    Index y0 = at / l.columns * l.stride - l.top, x0 = at % l.columns * l.stride - l.left;
    const float* patch = d + (pixel - begin) * width;
    for (Index c = 0; c < l.in; ++c)
      for (Index i = 0; i < k; ++i)
        for (Index j = 0; j < k; ++j, ++patch) {
          Index y = y0 + i, x = x0 + j;
          if (y >= 0 && y < l.in_rows && x >= 0 && x < l.in_columns)
            images[(image * l.in + c) * plane + y * l.in_columns + x] += *patch;
        }
  }
}

// A value's pixels of one image as [channels][pixels], or its channels' means.
static inline void write_features(const Value& v, Index image, Index channels, bool pool, float* out) {
  float* rows = scratch(0, v.area * v.width);
  read_rows(v, image * v.area, (image + 1) * v.area, rows);
  if (pool) {
    float* means = scratch(1, v.width);
    for (Index c = 0; c < v.width; c += LANES) {
      Vec sum{};
      for (Index p = 0; p < v.area; ++p) sum += load(rows + p * v.width + c);
      store(means + c, sum / float(v.area));
    }
    std::memcpy(out + image * channels, means, std::size_t(channels) * 4);
    return;
  }
  for (Index c = 0; c < channels; ++c)
    for (Index p = 0; p < v.area; ++p) out[(image * channels + c) * v.area + p] = rows[p * v.width + c];
}

// The gradient of `write_features` for one image, as rows of padded channels.
static inline void read_feature_gradient(const float* d, Index image, Index area, Index channels, Index width,
                                         bool pool, float* rows) {
  for (Index p = 0; p < area; ++p)
    for (Index c = 0; c < width; ++c) {
      float g = 0.f;
      if (c < channels) g = pool ? d[image * channels + c] / float(area) : d[(image * channels + c) * area + p];
      rows[p * width + c] = g;
    }
}

}  // namespace kernels
