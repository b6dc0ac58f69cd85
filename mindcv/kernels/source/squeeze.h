// Squeeze-excite: gates from the channels' means by two small dense layers, and their gradients.
#pragma once
#include "passes.h"

namespace kernels {

// Means over the pixels of one image of a value without its gates.
static inline void pool_image(Value v, Index image, float* means) {
  v.gates = nullptr;
  const Index begin = image * v.area;
  with_activation(v.activation, [&](auto act) {
    for (Index c = 0; c < v.width; c += LANES) {
      const Vec scale = v.scale ? load(v.scale + c) : splat(1.f), shift = v.scale ? load(v.shift + c) : Vec{};
      Vec sum{};
      for (Index p = begin; p < begin + v.area; ++p)
        sum += activate<act.value>(load(v.data + p * v.width + c) * scale + shift);
      store(means + c, sum / float(v.area));
    }
  });
}

static inline float dot(const float* a, const float* b, Index n) {
  Vec sums{};
  Index i = 0;
  for (; i + LANES <= n; i += LANES) sums += load(a + i) * load(b + i);
  float sum = 0.f;
  for (int j = 0; j < LANES; ++j) sum += sums[j];
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// The gates of one image from its means; `hidden` keeps what is in between.
static inline void make_gates(const Layer& l, const Parameters& p, const float* means, float* hidden,
                              float* gates) {
  for (Index r = 0; r < l.reduced; ++r) {
    float h = dot(p.reduce + r * l.out, means, l.out) + p.reduce_bias[r];
    hidden[r] = 0.f > h ? 0.f : h;
  }
  for (Index c = 0; c < l.padded_out; ++c) {
    float e = 0.f;
    if (c < l.out) e = dot(p.expand + c * l.reduced, hidden, l.reduced) + p.expand_bias[c];
    if (l.gate == SIGMOID) {
      gates[c] = 1.f / (1.f + std::exp(-e));
    } else {
      float h = e * (1.f / 6.f) + 0.5f;
      gates[c] = h < 0.f ? 0.f : h > 1.f ? 1.f : h;
    }
  }
}

// From the gradient `d` of the gated value of one image to that of the means and of both layers' inputs.
// expand_d [channels], hidden_d [reduced], means_d [padded channels].
static inline void gate_gradients(const Layer& l, const Parameters& p, const Value& v, Index image,
                                  const float* d, const float* hidden, const float* gates, float* expand_d,
                                  float* hidden_d, float* means_d) {
  const Index begin = image * v.area;
  with_activation(v.activation, [&](auto act) {
    for (Index c = 0; c < v.width; c += LANES) {
      const Vec scale = load(v.scale + c), shift = load(v.shift + c);
      Vec sum{};
      for (Index q = begin; q < begin + v.area; ++q)
        sum += load(d + q * v.width + c) * activate<act.value>(load(v.data + q * v.width + c) * scale + shift);
      store(means_d + c, sum);
    }
  });
  for (Index c = 0; c < l.out; ++c) {
    float g = gates[c];
    expand_d[c] = l.gate == SIGMOID ? means_d[c] * g * (1.f - g)
                                    : (g > 0.f && g < 1.f ? means_d[c] * (1.f / 6.f) : 0.f);
  }
  std::memset(hidden_d, 0, std::size_t(l.reduced) * 4);
  for (Index c = 0; c < l.out; ++c)
    for (Index r = 0; r < l.reduced; ++r) hidden_d[r] += expand_d[c] * p.expand[c * l.reduced + r];
  for (Index r = 0; r < l.reduced; ++r)
    if (!(hidden[r] > 0.f)) hidden_d[r] = 0.f;
  std::memset(means_d, 0, std::size_t(l.padded_out) * 4);
  for (Index r = 0; r < l.reduced; ++r)
    for (Index c = 0; c < l.out; ++c) means_d[c] += hidden_d[r] * p.reduce[r * l.out + c];
}

// Gradients of a dense layer's weight [out][in] and bias from its inputs and its outputs' gradients.
static inline void dense_gradients(Index begin, Index end, Index in, Index in_row, Index out_row, Index images,
                                   const float* inputs, const float* d, float* weight, float* bias) {
  for (Index o = begin; o < end; ++o) {
    float* row = weight + o * in;
    std::memset(row, 0, std::size_t(in) * 4);
    float sum = 0.f;
    for (Index n = 0; n < images; ++n) {
      const float g = d[n * out_row + o], *input = inputs + n * in_row;
      sum += g;
      for (Index i = 0; i < in; ++i) row[i] += g * input[i];
    }
    bias[o] = sum;
  }
}

}  // namespace kernels
