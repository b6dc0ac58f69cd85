// The forward pass of training: convolutions, batch statistics, gates and sums, saved for the backward pass.
#pragma once
#include "depthwise.h"
#include "images.h"
#include "squeeze.h"

namespace kernels {

constexpr Index TILE_FLOATS = 96 * 1024;  // of a tile's inputs and outputs

static inline Index tile_rows(Index width) {
  Index rows = TILE_FLOATS / width / TILE_ROWS * TILE_ROWS;
  return std::min<Index>(16 * TILE_ROWS, std::max<Index>(2 * TILE_ROWS, rows));
}

// Memory that belongs to a call; one call at a time uses what is kept, another one its own.
struct Memory {
  Buffer buffers[8];
};

class Lease {
 public:
  Lease() : lock_(mutex(), std::try_to_lock) {
    if (!lock_.owns_lock()) own_ = std::make_unique<Memory>();
  }
  float* get(int slot, Index floats) { return (own_ ? own_.get() : kept())->buffers[slot].get(floats); }

 private:
  static std::mutex& mutex() { static std::mutex* m = new std::mutex(); return *m; }
  static Memory* kept() { static Memory* m = new Memory(); return m; }
  std::unique_lock<std::mutex> lock_;
  std::unique_ptr<Memory> own_;
};

static inline Index packed_size(const Layer& l) { return l.fan() * l.padded_out; }

// Pack a layer's weight for the forward pass, this thread's share.
static inline void pack_forward(const Layer& l, const float* weight, float* out, int t, int threads) {
  if (l.kind == DEPTHWISE) {
    if (t == 0) pack_depthwise(l, weight, out);
    return;
  }
  Index begin, end;
  share(l.padded_out / LANES, 2, t, threads, begin, end);
  pack(weight, l.depth(), l.out, true, out, begin, end);
}

class Forward {
 public:
  Forward(const Program& program, const float* images, const float* drops, void** parameters, float* saved)
      : program_(program), images_(images), drops_(drops), parameters_(parameters), saved_(saved),
        threads_(team_.size()), moments_(std::size_t(threads_)) {}

  void run(float* features) {
    for (std::size_t i = 0; i < program_.layers.size(); ++i) {
      const Layer& l = program_.layers[i];
      Value input;
      if (i > 0) input = value_of(program_.layers[i - 1], saved_);
      convolve(l, input);
      normalize(l);
      if (l.gate) gate(l);
      if (l.skip >= 0) add(l);
    }
    const Layer& l = program_.last();
    Value v = value_of(l, saved_);
    team_.run([&](int t) {
      Index begin, end;
      share(l.images, 1, t, threads_, begin, end);
      for (Index n = begin; n < end; ++n) write_features(v, n, l.out, program_.pool, features);
    });
  }

 private:
  void convolve(const Layer& l, const Value& input) {
    Parameters p(l, parameters_);
    Saved s(l, saved_);
    float* weights = memory_.get(0, packed_size(l));
    team_.run([&](int t) { pack_forward(l, p.weight, weights, t, threads_); });
    team_.run([&](int t) {
      Moments& moments = moments_[std::size_t(t)];
      moments.reset(l.padded_out);
      if (l.kind == DEPTHWISE) filter(l, input, weights, s.raw, moments, t);
      else multiply(l, input, weights, s.raw, moments, t);
    });
  }

  void multiply(const Layer& l, const Value& input, const float* weights, float* raw, Moments& moments, int t) {
    const Index depth = l.depth(), a_row = l.kind == IMAGE ? depth : l.padded_in, width = l.padded_out;
    const Index rows = tile_rows(a_row + width);
    float* tile = scratch(0, rows * a_row);
    Index begin, end;
    share(l.pixels, TILE_ROWS, t, threads_, begin, end);
    for (Index r = begin; r < end; r += rows) {
      const Index last = std::min(end, r + rows);
      const float* a = tile;
      if (l.kind == IMAGE) read_patches(l, images_, r, last, tile);
      else if (input.scale == nullptr) a = input.data + r * a_row;
      else read_rows(input, r, last, tile);
      product(last - r, depth, width / LANES, a, a_row, 1, weights, 0, true, raw + r * width, width, false);
      if (l.batch_statistics) add_tile(moments, raw + r * width, last - r, width);
    }
  }

  void filter(const Layer& l, const Value& input, const float* weights, float* raw, Moments& moments, int t) {
    const Index vectors = l.padded_out / LANES, area = l.area(), width = l.padded_out;
    Index begin, end;
    share(l.images * vectors, 1, t, threads_, begin, end);
    with_kernel(l, [&](auto kernel, auto stride) {
      for (Index task = begin; task < end; ++task) {
        const Index image = task / vectors, c = task % vectors * LANES;
        float* out = raw + image * area * width + c;
        // Sums of distances from the first pixel: no digits are lost where the mean is far from zero.
        Vec first{}, sum{}, squares{}, row_sum{}, row_squares{};
        depthwise_map<kernel.value, stride.value>(
            l, input, image, c, weights + c * l.kernel * l.kernel, [&](Index pixel, Vec v) {
              store(out + pixel * width, v);
              if (pixel == 0) first = v;
              if (pixel % l.columns == 0) {
                sum += row_sum;
                squares += row_squares;
                row_sum = row_squares = Vec{};
              }
              Vec d = v - first;
              row_sum += d;
              row_squares += d * d;
            });
        sum += row_sum;
        squares += row_squares;
        Vec mean = sum / float(area);
        if (l.batch_statistics)
          moments.add_vector(c, double(area), first + mean, at_least(squares - sum * mean, 0.f));
      }
    });
  }

  void normalize(const Layer& l) {
    Parameters p(l, parameters_);
    Saved s(l, saved_);
    const double count = double(l.pixels);
    Moments& all = moments_[0];
    for (Index c = 0; c < l.padded_out; ++c) {
      const bool real = c < l.out;
      double mean = real ? p.mean[c] : 0., variance = real ? p.variance[c] : 0.;
      if (l.batch_statistics) {
        for (int t = 1; t < threads_; ++t) {
          const Moments& m = moments_[std::size_t(t)];
          std::size_t i = std::size_t(c);
          if (m.count[i] > 0.) all.add(c, m.count[i], m.mean[i], m.squares[i]);
        }
        mean = all.mean[std::size_t(c)];
        variance = all.squares[std::size_t(c)] / count;
        if (real) {
          const double unbiased = variance * count / std::max(count - 1., 1.), old = 1. - l.momentum;
          p.mean[c] = float(old * p.mean[c] + l.momentum * mean);
          p.variance[c] = float(old * p.variance[c] + l.momentum * unbiased);
        }
      }
      const double inverse = 1. / std::sqrt(variance + l.eps);
      const double scale = real ? p.gamma[c] * inverse : 0.;
      s.mean[c] = float(mean);
      s.inverse[c] = float(inverse);
      s.scale[c] = float(scale);
      s.shift[c] = float(real ? p.beta[c] - mean * scale : 0.);
    }
  }

  void gate(const Layer& l) {
    Parameters p(l, parameters_);
    Saved s(l, saved_);
    Value v = value_of(l, saved_);
    team_.run([&](int t) {
      Index begin, end;
      share(l.images, 1, t, threads_, begin, end);
      for (Index n = begin; n < end; ++n) {
        pool_image(v, n, s.pooled + n * l.padded_out);
        make_gates(l, p, s.pooled + n * l.padded_out, s.hidden + n * l.reduced, s.gates + n * l.padded_out);
      }
    });
  }

  void add(const Layer& l) {
    Saved s(l, saved_);
    Value skip = value_of(program_.layers[std::size_t(l.skip)], saved_);
    const float* drop = l.drop >= 0 ? drops_ + l.drop * l.images : nullptr;
    const Index width = l.padded_out;
    team_.run([&](int t) {
      Index begin, end;
      share(l.pixels, 1, t, threads_, begin, end);
      for (Index r = begin; r < end; r += 32) {
        Index last = std::min(end, r + 32);
        read_rows(skip, r, last, s.sum + r * width);
        for (Index row = r; row < last; ++row) {
          Vec factor = drop_factor(drop, drop ? row / l.area() : 0);
          for (Index c = 0; c < width; c += LANES) {
            float* out = s.sum + row * width + c;
            store(out, load(out) + factor * (load(s.raw + row * width + c) * load(s.scale + c) + load(s.shift + c)));
          }
        }
      }
    });
  }

  const Program& program_;
  const float *images_, *drops_;
  void** parameters_;
  float* saved_;
  Team& team_ = Team::instance();
  int threads_;
  Lease memory_;
  std::vector<Moments> moments_;
};

}  // namespace kernels
