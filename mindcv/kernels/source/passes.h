// Passes over tiles of values: reading them, statistics, and what follows a gradient.
#pragma once
#include "gemm.h"
#include "program.h"

namespace kernels {

// Write rows [begin, end) of a value to `out`, [end - begin][width].
static inline void read_rows(const Value& v, Index begin, Index end, float* out) {
  const Index width = v.width;
  if (v.scale == nullptr) {
    std::memcpy(out, v.data + begin * width, std::size_t((end - begin) * width) * 4);
    if (v.gates == nullptr) return;
    for (Index r = begin; r < end; ++r)
      for (Index c = 0; c < width; c += LANES) {
        float* to = out + (r - begin) * width + c;
        store(to, load(to) * load(v.gates + r / v.area * width + c));
      }
    return;
  }
  with_activation(v.activation, [&](auto act) {
    for (Index r = begin; r < end; ++r) {
      const float* in = v.data + r * width;
      float* to = out + (r - begin) * width;
      for (Index c = 0; c < width; c += LANES)
        store(to + c, activate<act.value>(load(in + c) * load(v.scale + c) + load(v.shift + c)));
      if (v.gates != nullptr) {
        const float* gate = v.gates + r / v.area * width;
        for (Index c = 0; c < width; c += LANES) store(to + c, load(to + c) * load(gate + c));
      }
    }
  });
}

// Mean and sum of squared deviations of each channel, combined in a fixed order (Chan et al. 1983).
struct Moments {
  std::vector<double> mean, squares, count;

  void reset(Index channels) {
    mean.assign(std::size_t(channels), 0.);
    squares.assign(std::size_t(channels), 0.);
    count.assign(std::size_t(channels), 0.);
  }

  void add(Index c, double n, double other_mean, double other_squares) {
    std::size_t i = std::size_t(c);
    double total = count[i] + n, difference = other_mean - mean[i];
    mean[i] += difference * n / total;
    squares[i] += other_squares + difference * difference * count[i] * n / total;
    count[i] = total;
  }

  void add_vector(Index c, double n, Vec m, Vec s) {
    for (int i = 0; i < LANES; ++i) add(c + i, n, m[i], s[i]);
  }
};

static inline void add_tile(Moments& moments, const float* tile, Index rows, Index width) {
  for (Index c = 0; c < width; c += LANES) {
    Vec sum{}, squares{};
    for (Index r = 0; r < rows; ++r) sum += load(tile + r * width + c);
    Vec mean = sum / float(rows);
    for (Index r = 0; r < rows; ++r) {
      Vec d = load(tile + r * width + c) - mean;
      squares += d * d;
    }
    moments.add_vector(c, double(rows), mean, squares);
  }
}

// Sums of the gradient behind a normalization: of g, and of g times the distance from the mean.
struct Sums {
  std::vector<double> g, gu;

  void reset(Index channels) {
    g.assign(std::size_t(channels), 0.);
    gu.assign(std::size_t(channels), 0.);
  }

  void add_vector(Index c, Vec a, Vec b) {
    for (int i = 0; i < LANES; ++i) {
      g[std::size_t(c + i)] += a[i];
      gu[std::size_t(c + i)] += b[i];
    }
  }
};

// Where the gradient of a value goes: through the activation that made it, with the sums for its
// normalization. A gated value's gradient stays as it is, see squeeze.h.
struct Target {
  const float *raw = nullptr, *mean, *scale, *shift;
  const float* drop = nullptr;    // factor of each image on the branch that a skip connection surrounds
  const float* added = nullptr;   // a gradient to add first: that of a skip connection
  float* out = nullptr;
  int activation = LINEAR;
  bool gated = false, summed = false;  // summed: the value is a sum with a skip connection
  Index width = 0, area = 1;
};

template <int ACT>
static inline void arrive(const Target& t, Index at, Index c, Vec d, Vec factor, Vec& sum, Vec& product) {
  if (t.added != nullptr) d += load(t.added + at);
  if (t.gated) {
    store(t.out + at, d);
    return;
  }
  Vec u = load(t.raw + at), g = d;
  if (t.summed) {
    g = d * factor;
    store(t.out + at, d);
  } else {
    g = activation_gradient<ACT>(u * load(t.scale + c) + load(t.shift + c), d);
    store(t.out + at, g);
  }
  sum += g;
  product += g * (u - load(t.mean + c));
}

static inline Vec drop_factor(const float* drop, Index image) { return splat(drop ? drop[image] : 1.f); }

// Gradients d [end - begin][width] of rows [begin, end) arrive at their target.
static inline void arrive_rows(const Target& t, const float* d, Index begin, Index end, Sums& sums) {
  with_activation(t.activation, [&](auto act) {
    for (Index c = 0; c < t.width; c += LANES) {
      Vec sum{}, product{};
      for (Index r = begin; r < end; ++r) {
        Vec factor = drop_factor(t.drop, t.drop ? r / t.area : 0);
        arrive<act.value>(t, r * t.width + c, c, load(d + (r - begin) * t.width + c), factor, sum, product);
      }
      sums.add_vector(c, sum, product);
    }
  });
}

// The gradient of a convolution's result: a * drop * g + b * u + c for each channel.
struct Source {
  const float *g, *raw, *a, *b, *c;
  const float* drop = nullptr;
  Index width, area;
};

static inline Vec gradient_at(const Source& s, Index at, Index c, Vec factor) {
  return load(s.a + c) * factor * load(s.g + at) + (load(s.b + c) * load(s.raw + at) + load(s.c + c));
}

static inline void read_gradient(const Source& s, Index begin, Index end, float* out) {
  for (Index r = begin; r < end; ++r) {
    Vec factor = drop_factor(s.drop, s.drop ? r / s.area : 0);
    for (Index c = 0; c < s.width; c += LANES)
      store(out + (r - begin) * s.width + c, gradient_at(s, r * s.width + c, c, factor));
  }
}

}  // namespace kernels
