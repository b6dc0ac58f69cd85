// Vectors of floats over channels, and the activations. Channels are padded to a multiple of LANES.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace kernels {

using Index = std::int64_t;

#if defined(__AVX512F__) || defined(WIDE_VECTORS)  // the second to test the first on processors without it
constexpr int LANES = 16;
constexpr int TILE_ROWS = 12;  // 12 x 2 accumulators, two columns and a broadcast fit 32 registers
#else
constexpr int LANES = 8;
constexpr int TILE_ROWS = 6;
#endif

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef float Unaligned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

static inline Vec load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
static inline void store(float* p, Vec v) { *reinterpret_cast<Unaligned*>(p) = v; }
static inline Vec splat(float x) { return Vec{} + x; }
static inline Index padded(Index channels) { return (channels + LANES - 1) / LANES * LANES; }

enum Activation { LINEAR = 0, RELU = 1, RELU6 = 2, HSWISH = 3 };

// The comparisons are written so that NaN stays NaN.
static inline Vec at_least(Vec z, float low) { Vec l = splat(low); return (l > z) ? l : z; }
static inline Vec at_most(Vec z, float high) { Vec h = splat(high); return (h < z) ? h : z; }

template <int ACT>
static inline Vec activate(Vec z) {
  if (ACT == RELU) return at_least(z, 0.f);
  if (ACT == RELU6) return at_most(at_least(z, 0.f), 6.f);
  if (ACT == HSWISH) return z * at_most(at_least(z + 3.f, 0.f), 6.f) * (1.f / 6.f);
  return z;
}

// The gradient of the activation's input, given that of its output.
template <int ACT>
static inline Vec activation_gradient(Vec z, Vec d) {
  Vec zero{};
  if (ACT == RELU) return (z > 0.f) ? d : zero;
  if (ACT == RELU6) { Vec e = (z > 0.f) ? d : zero; return (z < 6.f) ? e : zero; }
  if (ACT == HSWISH) {
    Vec inside = d * (z * (1.f / 3.f) + 0.5f);
    Vec e = (z > -3.f) ? inside : zero;
    return (z < 3.f) ? e : d;
  }
  return d;
}

// Call f with the activation as a compile-time constant.
template <class F>
static inline void with_activation(int activation, F f) {
  switch (activation) {
    case RELU: f(std::integral_constant<int, RELU>()); break;
    case RELU6: f(std::integral_constant<int, RELU6>()); break;
    case HSWISH: f(std::integral_constant<int, HSWISH>()); break;
    default: f(std::integral_constant<int, LINEAR>());
  }
}

}  // namespace kernels
