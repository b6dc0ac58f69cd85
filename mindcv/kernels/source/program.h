// The chain of layers that Python describes with integers, its sizes for a batch, and its tensors.
#pragma once
#include <stdexcept>
#include <vector>

#include "threads.h"

namespace kernels {

enum Kind { POINTWISE = 0, DEPTHWISE = 1, IMAGE = 2 };  // IMAGE: a convolution of the NCHW images
enum Gate { NO_GATE = 0, SIGMOID = 1, HARD_SIGMOID = 2 };

constexpr Index HEADER = 4, FIELDS = 14;

// A convolution, its batch normalization and activation, perhaps a gate for each channel (squeeze-excite),
// and perhaps the sum with an earlier value (a skip connection).
struct Layer {
  Index kind, in, out, kernel, stride, pad, activation, batch_statistics, reduced, gate, skip, drop;
  double eps, momentum;
  Index in_rows, in_columns, rows, columns, top, left;  // sizes for the images at hand
  Index padded_in, padded_out, pixels, images;          // pixels: of all images
  Index raw, statistics, sum, pooled, hidden, gates;    // places in the saved tensor
  Index first_parameter, first_statistic;               // among the parameters

  Index area() const { return rows * columns; }
  Index depth() const { return kind == IMAGE ? in * kernel * kernel : in; }
  Index fan() const { return kind == DEPTHWISE ? kernel * kernel : depth(); }
};

struct Program {
  std::vector<Layer> layers;
  Index images, channels, pool, drops, parameters, saved = 0;

  // Shape of the images: N, C, H, W.
  Program(const Index* code, const Index* shape) {
    images = shape[0];
    channels = shape[1];
    Index count = code[0];
    pool = code[1];
    drops = code[2];
    Index rows = shape[2], columns = shape[3], parameter = 0;
    layers.resize(std::size_t(count));
    for (Index i = 0; i < count; ++i) {
      Layer& layer = layers[std::size_t(i)];
      const Index* f = code + HEADER + i * FIELDS;
      Index* fields[] = {&layer.kind, &layer.in, &layer.out, &layer.kernel, &layer.stride, &layer.pad,
                         &layer.activation, &layer.batch_statistics, &layer.reduced, &layer.gate, &layer.skip,
                         &layer.drop};
      for (int j = 0; j < 12; ++j) *fields[j] = f[j];
      std::memcpy(&layer.eps, f + 12, 8);
      std::memcpy(&layer.momentum, f + 13, 8);
      place(layer, rows, columns, parameter);
      rows = layer.rows;
      columns = layer.columns;
      parameter += layer.gate ? 7 : 3;
    }
    for (Index i = 0; i < count; ++i) layers[std::size_t(i)].first_statistic = parameter + 2 * i;
    parameters = parameter + 2 * count;
  }

  const Layer& last() const { return layers.back(); }

 private:
  Index take(Index floats) {
    Index start = saved;
    saved += (floats + 15) / 16 * 16;
    return start;
  }

  void place(Layer& layer, Index rows, Index columns, Index parameter) {
    layer.images = images;
    layer.in_rows = rows;
    layer.in_columns = columns;
    geometry(layer, rows, layer.rows, layer.top);
    geometry(layer, columns, layer.columns, layer.left);
    layer.padded_in = padded(layer.in);
    layer.padded_out = padded(layer.out);
    layer.pixels = images * layer.area();
    layer.first_parameter = parameter;
    layer.raw = take(layer.pixels * layer.padded_out);
    layer.statistics = take(4 * layer.padded_out);
    layer.sum = layer.skip >= 0 ? take(layer.pixels * layer.padded_out) : -1;
    layer.pooled = layer.gate ? take(images * layer.padded_out) : -1;
    layer.hidden = layer.gate ? take(images * layer.reduced) : -1;
    layer.gates = layer.gate ? take(images * layer.padded_out) : -1;
  }

  // Padding -1 is TensorFlow's "same", which puts the odd zero behind; others are symmetric.
  static void geometry(const Layer& layer, Index size, Index& result, Index& before) {
    if (layer.pad < 0) {
      result = (size + layer.stride - 1) / layer.stride;
      before = std::max<Index>(0, (result - 1) * layer.stride + layer.kernel - size) / 2;
    } else {
      result = (size + 2 * layer.pad - layer.kernel) / layer.stride + 1;
      before = layer.pad;
    }
  }
};

// A layer's parameters in MindSpore's layout. All layers' weights, gammas, betas and gates come first, layer by
// layer, and then all running statistics.
struct Parameters {
  const float *weight, *gamma, *beta;
  float *mean, *variance;  // running statistics
  const float *reduce, *reduce_bias, *expand, *expand_bias;

  Parameters(const Layer& layer, void** all) {
    float** p = reinterpret_cast<float**>(all + layer.first_parameter);
    weight = p[0];
    gamma = p[1];
    beta = p[2];
    reduce = layer.gate ? p[3] : nullptr;
    reduce_bias = layer.gate ? p[4] : nullptr;
    expand = layer.gate ? p[5] : nullptr;
    expand_bias = layer.gate ? p[6] : nullptr;
    mean = static_cast<float*>(all[layer.first_statistic]);
    variance = static_cast<float*>(all[layer.first_statistic + 1]);
  }
};

// A layer's tensors in the saved one.
struct Saved {
  float *raw, *mean, *inverse, *scale, *shift, *sum, *pooled, *hidden, *gates;

  Saved(const Layer& layer, float* saved) {
    raw = saved + layer.raw;
    mean = saved + layer.statistics;
    inverse = mean + layer.padded_out;
    scale = inverse + layer.padded_out;
    shift = scale + layer.padded_out;
    sum = layer.sum < 0 ? nullptr : saved + layer.sum;
    pooled = layer.gate ? saved + layer.pooled : nullptr;
    hidden = layer.gate ? saved + layer.hidden : nullptr;
    gates = layer.gate ? saved + layer.gates : nullptr;
  }
};

// A value between layers [pixels][padded channels]: as it is, or to be made from a convolution's result.
struct Value {
  const float* data;
  const float *scale = nullptr, *shift = nullptr;  // none: data is the value
  const float* gates = nullptr;                    // [images][padded]
  int activation = LINEAR;
  Index width = 0, area = 1;  // padded channels, pixels of an image
};

static inline Value value_of(const Layer& layer, float* saved) {
  Saved s(layer, saved);
  Value value;
  value.width = layer.padded_out;
  value.area = layer.area();
  if (s.sum != nullptr) {
    value.data = s.sum;
    return value;
  }
  value.data = s.raw;
  value.scale = s.scale;
  value.shift = s.shift;
  value.activation = int(layer.activation);
  value.gates = s.gates;
  return value;
}

}  // namespace kernels
