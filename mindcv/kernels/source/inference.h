// The forward pass of evaluation: batch normalization is a factor and an offset, applied with the activation
// and the skip connection while a result is in the cache.
#pragma once
#include "forward.h"

namespace kernels {

constexpr Index TOGETHER = 8;        // images of one thread that share the reading of a layer's weights
constexpr Index LARGE_AREA = 28 * 28;  // maps above it are computed image by image, to stay in the cache
constexpr Index FEW_PIXELS = 64;       // of all images: weights are used as they are, packing costs more than it gains

class Inference {
 public:
  Inference(const Program& program, const float* images, void** parameters)
      : program_(program), images_(images), parameters_(parameters), threads_(team_.size()) {}

  void run(float* features) {
    prepare();
    const Index count = Index(program_.layers.size());
    const Index split = split_layer();
    if (program_.images >= threads_) {
      team_.run([&](int t) {
        Index begin, end;
        share(program_.images, 1, t, threads_, begin, end);
        Memory* memory = own_memory();
        auto alone = [](const std::function<void(int, int)>& f) { f(0, 1); };
        for (Index n = begin; n < end; n += TOGETHER) {
          const Index last = std::min(end, n + TOGETHER);
          float* middle = nullptr;
          if (split > 0) {
            const Layer& l = program_.layers[std::size_t(split - 1)];
            const Index floats = l.area() * l.padded_out;
            middle = memory->buffers[4].get((last - n) * floats);
            for (Index image = n; image < last; ++image) {
              Value v = layers(0, split, Value(), image, 1, *memory, alone);
              read_rows(v, 0, l.area(), middle + (image - n) * floats);
            }
          }
          Value input;
          input.data = middle;
          if (split > 0) describe(input, program_.layers[std::size_t(split - 1)]);
          finish(layers(split, count, input, n, last - n, *memory, alone), n, last - n, features, alone);
        }
      });
      return;
    }
    auto together = [&](const std::function<void(int, int)>& f) { team_.run([&](int t) { f(t, threads_); }); };
    Value v = layers(0, count, Value(), 0, program_.images, *own_memory(), together);
    finish(v, 0, program_.images, features, together);
  }

 private:
  static Memory* own_memory() {
    static thread_local Memory memory;
    return &memory;
  }

  static void describe(Value& v, const Layer& l) {
    v.width = l.padded_out;
    v.area = l.area();
  }

  // The first layer from which on all maps are small, and that no skip connection crosses.
  Index split_layer() const {
    const Index count = Index(program_.layers.size());
    Index split = count;
    for (Index i = count - 1; i >= 0 && program_.layers[std::size_t(i)].in_rows *
                                            program_.layers[std::size_t(i)].in_columns <= LARGE_AREA; --i) {
      bool crossed = program_.layers[std::size_t(i)].kind == IMAGE;
      for (Index s = i; s < count; ++s) {
        const Index skip = program_.layers[std::size_t(s)].skip;
        crossed = crossed || (skip >= 0 && skip < i - 1);
      }
      crossed = crossed || (i > 0 && program_.layers[std::size_t(i - 1)].gate);
      if (!crossed) split = i;
    }
    return split == count ? 0 : split;
  }

  // Pack all weights and fold all normalizations.
  void prepare() {
    Index total = 0;
    for (const Layer& l : program_.layers) {
      places_.push_back(total);
      total += padded(packed_size(l)) + 2 * l.padded_out;
    }
    weights_ = memory_.get(0, total);
    team_.run([&](int t) {
      for (std::size_t i = 0; i < program_.layers.size(); ++i) {
        const Layer& l = program_.layers[i];
        Parameters p(l, parameters_);
        float* place = weights_ + places_[i];
        if (!is_few(l) && (l.kind != DEPTHWISE || int(i) % threads_ == t))
          pack_forward(l, p.weight, place, l.kind == DEPTHWISE ? 0 : t, threads_);
        if (int(i) % threads_ != t) continue;
        float *scale = place + padded(packed_size(l)), *shift = scale + l.padded_out;
        for (Index c = 0; c < l.padded_out; ++c) {
          const bool real = c < l.out;
          const double factor = real ? p.gamma[c] / std::sqrt(double(p.variance[c]) + l.eps) : 0.;
          scale[c] = float(factor);
          shift[c] = real ? float(p.beta[c] - p.mean[c] * factor) : 0.f;
        }
      }
    });
  }

  // Layers [first, last) of `count` images from `image` on; the result lies in `memory`.
  template <class PARALLEL>
  Value layers(Index first, Index last, Value input, Index image, Index count, Memory& memory, PARALLEL parallel) {
    Index largest = 0;
    for (Index i = first; i < last; ++i)
      largest = std::max(largest, program_.layers[std::size_t(i)].area() * program_.layers[std::size_t(i)].padded_out);
    Value value = input;
    std::vector<const float*> values(std::size_t(last), nullptr);
    if (first > 0) values[std::size_t(first - 1)] = input.data;
    for (Index i = first; i < last; ++i) {
      const Layer& l = program_.layers[std::size_t(i)];
      const float* skip = l.skip >= 0 ? values[std::size_t(l.skip)] : nullptr;
      const float* kept = nullptr;  // a value that a later skip connection needs
      for (Index s = i; s < last; ++s) {
        const Index from = program_.layers[std::size_t(s)].skip;
        if (from >= 0 && from < i) kept = values[std::size_t(from)];
      }
      int slot = 0;
      float* out = memory.buffers[slot].get(count * largest);
      while (out == value.data || out == kept || out == skip) out = memory.buffers[++slot].get(count * largest);
      convolve(l, i, value, skip, image, count, out, parallel);
      value = Value();
      value.data = out;
      describe(value, l);
      values[std::size_t(i)] = out;
      if (l.gate) value.gates = gate(l, value, count, memory, parallel);
    }
    return value;
  }

  template <class PARALLEL>
  void convolve(const Layer& l, Index i, const Value& input, const float* skip, Index image, Index count, float* out,
                PARALLEL parallel) {
    const float* weights = weights_ + places_[std::size_t(i)];
    const float *scale = weights + padded(packed_size(l)), *shift = scale + l.padded_out;
    parallel([&](int t, int threads) {
      with_activation(int(l.activation), [&](auto act) {
        auto finish = [&](Index at, Index c, Vec v) {
          v = activate<act.value>(v * load(scale + c) + load(shift + c));
          if (skip != nullptr) v += load(skip + at);
          store(out + at, v);
        };
        if (l.kind == DEPTHWISE) filter(l, input, weights, count, t, threads, finish);
        else if (is_few(l)) multiply_few(l, input, Parameters(l, parameters_).weight, count, t, threads, finish);
        else multiply(l, input, weights, image, count, out, t, threads, finish);
      });
    });
  }

  // Whether a product's columns are its pixels instead of its channels.
  bool is_few(const Layer& l) const {
    return l.kind == POINTWISE && l.pixels <= FEW_PIXELS && l.in == l.padded_in && l.out == l.padded_out;
  }

  // The same sums in the same order as `multiply`, this thread's share of the channels.
  template <class FINISH>
  void multiply_few(const Layer& l, const Value& input, const float* weight, Index count, int t, int threads,
                    FINISH finish) {
    const Index depth = l.in, pixels = count * l.area(), columns = padded(pixels);
    Index begin, end;
    share(l.out, LANES, t, threads, begin, end);
    const float* rows = input.data;
    if (input.gates != nullptr) {
      float* gated = scratch(2, pixels * depth);
      read_rows(input, 0, pixels, gated);
      rows = gated;
    }
    float *packed = scratch(0, depth * columns), *out = scratch(1, LANES * TILE_ROWS * columns);
    pack(rows, depth, pixels, true, packed, 0, columns / LANES);
    for (Index o = begin; o < end; o += LANES * TILE_ROWS) {
      const Index last = std::min(end, o + LANES * TILE_ROWS);
      for (Index m = o; m < last; m += TILE_ROWS)
        product(std::min<Index>(TILE_ROWS, last - m), depth, columns / LANES, weight + m * depth, depth, 1, packed, 0,
                true, out + (m - o) * columns, columns, false);
      for (Index q = 0; q < pixels; ++q)
        for (Index c = o; c < last; c += LANES) {
          Vec v;
          for (int lane = 0; lane < LANES; ++lane) v[lane] = out[(c - o + lane) * columns + q];
          finish(q * l.padded_out + c, c, v);
        }
    }
  }

  template <class FINISH>
  void multiply(const Layer& l, const Value& input, const float* weights, Index image, Index count, float* out, int t,
                int threads, FINISH finish) {
    const Index depth = l.depth(), a_row = l.kind == IMAGE ? depth : l.padded_in, width = l.padded_out;
    const Index rows = tile_rows(a_row + width);
    Index begin, end;
    share(count * l.area(), TILE_ROWS, t, threads, begin, end);
    float* tile = scratch(0, rows * a_row);
    for (Index r = begin; r < end; r += rows) {
      const Index last = std::min(end, r + rows);
      const float* a = tile;
      if (l.kind == IMAGE) read_patches(l, images_ + image * l.in * l.in_rows * l.in_columns, r, last, tile);
      else if (input.gates == nullptr) a = input.data + r * a_row;
      else read_rows(input, r, last, tile);
      product(last - r, depth, width / LANES, a, a_row, 1, weights, 0, true, out + r * width, width, false);
      for (Index q = r; q < last; ++q)
        for (Index c = 0; c < width; c += LANES) finish(q * width + c, c, load(out + q * width + c));
    }
  }

  template <class FINISH>
  void filter(const Layer& l, const Value& input, const float* weights, Index count, int t, int threads,
              FINISH finish) {
    const Index vectors = l.padded_out / LANES, area = l.area(), width = l.padded_out;
    Index begin, end;
    share(count * vectors, 1, t, threads, begin, end);
    with_kernel(l, [&](auto kernel, auto stride) {
      for (Index task = begin; task < end; ++task) {
        const Index image = task / vectors, c = task % vectors * LANES;
        depthwise_map<kernel.value, stride.value>(
            l, input, image, c, weights + c * l.kernel * l.kernel,
            [&](Index pixel, Vec v) { finish((image * area + pixel) * width + c, c, v); });
      }
    });
  }

  template <class PARALLEL>
  const float* gate(const Layer& l, const Value& value, Index count, Memory& memory, PARALLEL parallel) {
    Parameters p(l, parameters_);
    float* gates = memory.buffers[5].get(count * (2 * l.padded_out + l.reduced));
    float *means = gates + count * l.padded_out, *hidden = means + count * l.padded_out;
    parallel([&](int t, int threads) {
      Index begin, end;
      share(count, 1, t, threads, begin, end);
      for (Index n = begin; n < end; ++n) {
        pool_image(value, n, means + n * l.padded_out);
        make_gates(l, p, means + n * l.padded_out, hidden + n * l.reduced, gates + n * l.padded_out);
      }
    });
    return gates;
  }

  template <class PARALLEL>
  void finish(const Value& v, Index image, Index count, float* features, PARALLEL parallel) {
    const Layer& l = program_.last();
    const Index size = program_.pool ? l.out : l.out * l.area();
    parallel([&](int t, int threads) {
      Index begin, end;
      share(count, 1, t, threads, begin, end);
      for (Index n = begin; n < end; ++n) write_features(v, n, l.out, program_.pool, features + image * size);
    });
  }

  const Program& program_;
  const float* images_;
  void** parameters_;
  float* weights_ = nullptr;
  Team& team_ = Team::instance();
  int threads_;
  Lease memory_;
  std::vector<Index> places_;
};

}  // namespace kernels
