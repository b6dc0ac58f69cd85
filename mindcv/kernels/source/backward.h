// The backward pass of training: one pass over each layer's tensors makes the gradients of its weight and of
// its input, and the sums that the layer before needs.
#pragma once
#include "forward.h"

namespace kernels {

class Backward {
 public:
  // `gradients`: of each layer's weight, gamma, beta, and of a gate's four parameters. `stem`: receives the
  // gradient behind the first layer and the factors that lead to that of its convolution.
  Backward(const Program& program, const float* images, const float* drops, float* saved, void** parameters,
           void** gradients, float* stem)
      : program_(program), images_(images), drops_(drops), saved_(saved), parameters_(parameters),
        gradients_(reinterpret_cast<float**>(gradients)), stem_(stem), threads_(team_.size()),
        sums_(std::size_t(threads_)), place_(program.layers.size(), -1) {
    for (const Layer& l : program_.layers) {
      largest_ = std::max(largest_, l.pixels * l.padded_out);
      first_gradient_.push_back(count_);
      count_ += l.gate ? 7 : 3;
    }
  }

  void run(const float* d_features) {
    begin(d_features);
    for (Index i = Index(program_.layers.size()) - 1; i >= 0; --i) {
      const Layer& l = program_.layers[std::size_t(i)];
      if (l.gate) gate(l, i);
      Source source = normalize(l, i);
      Target target;
      Index added = -1;
      if (i > 0) {
        for (Index t = i; t < Index(program_.layers.size()); ++t)
          if (program_.layers[std::size_t(t)].skip == i - 1) added = t;
        target = target_of(i - 1);
        if (added >= 0) target.added = gradient(added);
      }
      l.kind == DEPTHWISE ? filter(l, i, source, target) : multiply(l, i, source, target);
      if (added >= 0) place_[std::size_t(added)] = -1;
      if (l.skip < 0) place_[std::size_t(i)] = -1;
    }
  }

 private:
  float* gradient(Index i) {
    if (i == 0) return stem_;
    Index& place = place_[std::size_t(i)];
    if (place < 0) {
      place = 0;
      while (taken(place, i)) ++place;
    }
    return memory_.get(3 + int(place), largest_);
  }

  bool taken(Index place, Index own) const {
    for (std::size_t i = 0; i < place_.size(); ++i)
      if (Index(i) != own && place_[i] == place) return true;
    return false;
  }

  float* output(Index i, int which) { return gradients_[first_gradient_[std::size_t(i)] + which]; }

  const float* drop_of(const Layer& l) const { return l.drop >= 0 ? drops_ + l.drop * l.images : nullptr; }

  Target target_of(Index i) {
    const Layer& l = program_.layers[std::size_t(i)];
    Saved s(l, saved_);
    Target t;
    t.raw = s.raw;
    t.mean = s.mean;
    t.scale = s.scale;
    t.shift = s.shift;
    t.drop = drop_of(l);
    t.activation = int(l.activation);
    t.gated = l.gate != NO_GATE;
    t.summed = l.skip >= 0;
    t.width = l.padded_out;
    t.area = l.area();
    t.out = gradient(i);
    for (Sums& sums : sums_) sums.reset(l.padded_out);
    return t;
  }

  void begin(const float* d_features) {
    const Layer& l = program_.last();
    Target target = target_of(Index(program_.layers.size()) - 1);
    team_.run([&](int t) {
      Index begin, end;
      share(l.images, 1, t, threads_, begin, end);
      float* rows = scratch(0, l.area() * l.padded_out);
      for (Index n = begin; n < end; ++n) {
        read_feature_gradient(d_features, n, l.area(), l.out, l.padded_out, program_.pool, rows);
        arrive_rows(target, rows, n * l.area(), (n + 1) * l.area(), sums_[std::size_t(t)]);
      }
    });
  }

  // From the gradient of a gated value to that behind the normalization.
  void gate(const Layer& l, Index i) {
    Parameters p(l, parameters_);
    Saved s(l, saved_);
    Value v = value_of(l, saved_);
    Target target = target_of(i);
    target.gated = false;
    float* g = target.out;
    const Index width = l.padded_out, row = l.out + l.reduced + width;
    float* small = memory_.get(2, l.images * row);
    float *expand_d = small, *hidden_d = expand_d + l.images * l.out, *means_d = hidden_d + l.images * l.reduced;
    team_.run([&](int t) {
      Index begin, end;
      share(l.images, 1, t, threads_, begin, end);
      float* d = scratch(0, l.area() * width);
      for (Index n = begin; n < end; ++n) {
        const float* gates = s.gates + n * width;
        float* to_means = means_d + n * width;
        gate_gradients(l, p, v, n, g, s.hidden + n * l.reduced, gates, expand_d + n * l.out,
                       hidden_d + n * l.reduced, to_means);
        const float* from = g + n * l.area() * width;
        for (Index q = 0; q < l.area(); ++q)
          for (Index c = 0; c < width; c += LANES)
            store(d + q * width + c,
                  load(from + q * width + c) * load(gates + c) + load(to_means + c) / float(l.area()));
        arrive_rows(target, d, n * l.area(), (n + 1) * l.area(), sums_[std::size_t(t)]);
      }
    });
    team_.run([&](int t) {
      Index begin, end;
      share(l.reduced, 1, t, threads_, begin, end);
      dense_gradients(begin, end, l.out, width, l.reduced, l.images, s.pooled, hidden_d, output(i, 3), output(i, 4));
      share(l.out, 1, t, threads_, begin, end);
      dense_gradients(begin, end, l.reduced, l.reduced, l.out, l.images, s.hidden, expand_d, output(i, 5),
                      output(i, 6));
    });
  }

  // Gradients of gamma and beta, and the factors that lead through the normalization.
  Source normalize(const Layer& l, Index i) {
    Parameters p(l, parameters_);
    Saved s(l, saved_);
    const Index width = l.padded_out;
    float* a = i == 0 ? stem_ + l.pixels * width : factors_.get(3 * width);
    float *b = a + width, *c = b + width;
    const double count = double(l.pixels);
    for (Index k = 0; k < width; ++k) {
      double g = 0., gu = 0.;
      for (const Sums& sums : sums_) {
        g += sums.g[std::size_t(k)];
        gu += sums.gu[std::size_t(k)];
      }
      const double inverse = s.inverse[k], scale = s.scale[k];
      const double slope = l.batch_statistics ? -scale * inverse * inverse * gu / count : 0.;
      a[k] = float(scale);
      b[k] = float(slope);
      c[k] = l.batch_statistics ? float(-scale * g / count - slope * double(s.mean[k])) : 0.f;
      if (k < l.out) {
        output(i, 1)[k] = float(gu * inverse);
        output(i, 2)[k] = float(g);
      }
    }
    Source source;
    source.g = gradient(i);
    source.raw = s.raw;
    source.a = a;
    source.b = b;
    source.c = c;
    source.drop = drop_of(l);
    source.width = width;
    source.area = l.area();
    return source;
  }

  void multiply(const Layer& l, Index i, const Source& source, const Target& target) {
    Parameters p(l, parameters_);
    const bool image = l.kind == IMAGE;
    const Index depth = l.depth(), a_row = image ? depth : l.padded_in, width = l.padded_out;
    const Index in_vectors = padded(depth) / LANES, sum_row = in_vectors * LANES;
    const Index rows = tile_rows(2 * a_row + width);
    Value input;
    if (!image) input = value_of(program_.layers[std::size_t(i - 1)], saved_);
    float* weights = image ? nullptr : memory_.get(0, l.out * l.padded_in);
    float* partial = memory_.get(1, threads_ * l.out * sum_row);
    if (!image)
      team_.run([&](int t) {
        Index begin, end;
        share(in_vectors, 2, t, threads_, begin, end);
        pack(p.weight, l.out, l.in, false, weights, begin, end);
      });
    team_.run([&](int t) {
      float *x = scratch(0, rows * a_row), *d = scratch(1, rows * width), *dx = scratch(2, rows * a_row);
      float* sums = partial + t * l.out * sum_row;
      Index begin, end;
      share(l.pixels, TILE_ROWS, t, threads_, begin, end);
      if (begin == end) std::memset(sums, 0, std::size_t(l.out * sum_row) * 4);
      for (Index r = begin; r < end; r += rows) {
        const Index last = std::min(end, r + rows);
        const float* a = x;
        if (image) read_patches(l, images_, r, last, x);
        else if (input.scale == nullptr) a = input.data + r * a_row;
        else read_rows(input, r, last, x);
        read_gradient(source, r, last, d);
        product(l.out, last - r, in_vectors, d, 1, width, a, a_row, false, sums, sum_row, r != begin);
        if (image) continue;
        product(last - r, l.out, in_vectors, d, width, 1, weights, 0, true, dx, a_row, false);
        arrive_rows(target, dx, r, last, sums_[std::size_t(t)]);
      }
    });
    team_.run([&](int t) {
      Index begin, end;
      share(l.out, 1, t, threads_, begin, end);
      for (Index o = begin; o < end; ++o) {
        float* out = output(i, 0) + o * depth;
        std::memcpy(out, partial + o * sum_row, std::size_t(depth) * 4);
        for (int other = 1; other < threads_; ++other) {
          const float* from = partial + (other * l.out + o) * sum_row;
          for (Index k = 0; k < depth; ++k) out[k] += from[k];
        }
      }
    });
  }

  void filter(const Layer& l, Index i, const Source& source, const Target& target) {
    Parameters p(l, parameters_);
    const Index taps = l.kernel * l.kernel, vectors = l.padded_out / LANES, size = l.padded_out * taps;
    float* weights = memory_.get(0, size);
    float* partial = memory_.get(1, threads_ * size);
    pack_depthwise(l, p.weight, weights);
    Value input = value_of(program_.layers[std::size_t(i - 1)], saved_);
    const Index in_area = l.in_rows * l.in_columns;
    team_.run([&](int t) {
      float* weight_sums = partial + t * size;
      std::memset(weight_sums, 0, std::size_t(size) * 4);
      Index begin, end;
      share(l.images * vectors, 1, t, threads_, begin, end);
      with_kernel(l, [&](auto kernel, auto stride) {
        for (Index task = begin; task < end; ++task) {
          const Index image = task / vectors, c = task % vectors * LANES;
          depthwise_gradients<kernel.value, stride.value>(
              l, input, source, image, c, weights + c * taps, weight_sums + c * taps,
              [&](Index first, Index last, const float* dx) {
                arrive_band(target, image * in_area + first * l.in_columns, (last - first) * l.in_columns, c, dx,
                            drop_factor(target.drop, image), sums_[std::size_t(t)]);
              });
        }
      });
    });
    float* out = output(i, 0);
    for (Index c = 0; c < l.out; ++c)
      for (Index k = 0; k < taps; ++k) {
        float sum = 0.f;
        for (int t = 0; t < threads_; ++t) sum += partial[t * size + (c / LANES * taps + k) * LANES + c % LANES];
        out[c * taps + k] = sum;
      }
  }

  static void arrive_band(const Target& target, Index first, Index count, Index c, const float* dx, Vec factor,
                          Sums& sums) {
    with_activation(target.activation, [&](auto act) {
      Vec sum{}, product{};
      for (Index q = 0; q < count; ++q)
        arrive<act.value>(target, (first + q) * target.width + c, c, load(dx + q * LANES), factor, sum, product);
      sums.add_vector(c, sum, product);
    });
  }

  const Program& program_;
  const float *images_, *drops_;
  float* saved_;
  void** parameters_;
  float** gradients_;
  float* stem_;
  Team& team_ = Team::instance();
  int threads_;
  Lease memory_;
  Buffer factors_;
  std::vector<Sums> sums_;
  std::vector<Index> place_, first_gradient_;
  Index largest_ = 0, count_ = 0;
};

// The gradient of the images from `stem`, see `Backward`.
static inline void image_gradient(const Program& program, const float* weight, float* saved, const float* stem,
                                  float* out) {
  const Layer& l = program.layers[0];
  Team& team = Team::instance();
  const int threads = team.size();
  Lease memory;
  const Index depth = l.depth(), vectors = padded(depth) / LANES, width = l.padded_out;
  float* weights = memory.get(0, l.out * vectors * LANES);
  pack(weight, l.out, depth, false, weights, 0, vectors);
  Source source;
  source.g = stem;
  source.raw = Saved(l, saved).raw;
  source.a = stem + l.pixels * width;
  source.b = source.a + width;
  source.c = source.b + width;
  source.width = width;
  source.area = l.area();
  std::memset(out, 0, std::size_t(l.images * l.in * l.in_rows * l.in_columns) * 4);
  team.run([&](int t) {
    const Index rows = 8 * TILE_ROWS;
    float *d = scratch(0, rows * width), *dx = scratch(1, rows * vectors * LANES);
    Index begin, end;
    share(l.images, 1, t, threads, begin, end);
    for (Index r = begin * l.area(); r < end * l.area(); r += rows) {
      const Index last = std::min(end * l.area(), r + rows);
      read_gradient(source, r, last, d);
      product(last - r, l.out, vectors, d, width, 1, weights, 0, true, dx, vectors * LANES, false);
      add_patches(l, dx, vectors * LANES, r, last, out);
    }
  });
}

}  // namespace kernels
