// Updates of all parameters by one operator: optimizers, and the exponential moving average.
#pragma once
#include "threads.h"

namespace kernels {

// Call update(i, begin, end) for the elements of n tensors, shared among the threads by their number.
template <class F>
static void for_elements(Index n, const int* ranks, Index* const* shapes, F update) {
  Team& team = Team::instance();
  const int threads = team.size();
  std::vector<Index> starts(std::size_t(n) + 1, 0);
  for (Index i = 0; i < n; ++i) {
    Index size = 1;
    for (int d = 0; d < ranks[i]; ++d) size *= shapes[i][d];
    starts[std::size_t(i) + 1] = starts[std::size_t(i)] + size;
  }
  team.run([&](int t) {
    Index begin, end;
    share(starts.back(), 1024, t, threads, begin, end);
    for (Index i = 0; i < n; ++i) {
      const Index start = starts[std::size_t(i)], stop = starts[std::size_t(i) + 1];
      const Index first = std::max(begin, start), last = std::min(end, stop);
      if (first < last) update(i, first - start, last - start);
    }
  });
}

// What all optimizers take: constants (the first is the factor that removes the loss scale), values of this
// update, learning rates (one or n), weight decays (n), then n parameters, n of each state, n gradients.
struct Update {
  const float *constants, *values, *rates, *decays;
  float **parameters, **first, **second, **gradients;
  Index n;
  bool one_rate;
  const int* ranks;
  Index* const* shapes;

  Update(void** p, int* all_ranks, std::int64_t** all_shapes, int states) {
    float** tensors = reinterpret_cast<float**>(p);
    constants = tensors[0];
    values = tensors[1];
    rates = tensors[2];
    decays = tensors[3];
    n = all_shapes[3][0];
    one_rate = all_shapes[2][0] == 1;
    parameters = tensors + 4;
    first = parameters + n;
    second = first + n;
    gradients = first + states * n;
    ranks = all_ranks + 4;
    shapes = all_shapes + 4;
  }

  float rate(Index i) const { return rates[one_rate ? 0 : i]; }
};

static inline void rms_prop(const Update& u) {
  const float scale = u.constants[0], rho = u.constants[1], rest = u.constants[2], mu = u.constants[3],
              eps = u.constants[4];
  for_elements(u.n, u.ranks, u.shapes, [&](Index i, Index begin, Index end) {
    const float rate = u.rate(i), decay = u.decays[i];
    float *w = u.parameters[i], *s = u.first[i], *m = u.second[i];
    const float* g = u.gradients[i];
#pragma GCC ivdep
    for (Index k = begin; k < end; ++k) {
      const float d = (g[k] + decay * w[k]) * scale;
      s[k] = rho * s[k] + rest * d * d;
      m[k] = mu * m[k] + rate * d / std::sqrt(s[k] + eps);
      w[k] -= m[k];
    }
  });
}

// The state `fresh` is 1 before a parameter's first update.
static inline void sgd(const Update& u) {
  const float scale = u.constants[0], rest = 1.f - u.constants[1], mu = u.values[0];
  const bool nesterov = u.constants[2] != 0.f;
  for_elements(u.n, u.ranks, u.shapes, [&](Index i, Index begin, Index end) {
    const float rate = u.rate(i), decay = u.decays[i];
    float *w = u.parameters[i], *v = u.first[i], *fresh = u.second[i];
    const float* g = u.gradients[i];
#pragma GCC ivdep
    for (Index k = begin; k < end; ++k) {
      const float d = (g[k] + decay * w[k]) * scale;
      if (mu > 0.f) {
        v[k] = fresh[k] > 0.f ? d : v[k] * mu + d * rest;
        fresh[k] = 0.f;
        w[k] -= rate * (nesterov ? d + mu * v[k] : v[k]);
      } else {
        w[k] -= rate * d;
      }
    }
  });
}

static inline void momentum(const Update& u) {
  const float scale = u.constants[0], mu = u.values[0];
  for_elements(u.n, u.ranks, u.shapes, [&](Index i, Index begin, Index end) {
    const float rate = u.rate(i), decay = u.decays[i];
    float *w = u.parameters[i], *v = u.first[i];
    const float* g = u.gradients[i];
#pragma GCC ivdep
    for (Index k = begin; k < end; ++k) {
      v[k] = v[k] * mu + (g[k] + decay * w[k]) * scale;
      w[k] -= rate * v[k];
    }
  });
}

// The values are the correction of the rate and the corrected epsilon.
static inline void adam(const Update& u) {
  const float scale = u.constants[0], beta1 = u.constants[1], beta2 = u.constants[2];
  const bool nesterov = u.constants[3] != 0.f, decoupled = u.constants[4] != 0.f;
  const float correction = u.values[0], eps = u.values[1];
  for_elements(u.n, u.ranks, u.shapes, [&](Index i, Index begin, Index end) {
    const float rate = u.rate(i), step = rate * correction;
    const float kept = decoupled ? 1.f - rate * u.decays[i] : 1.f, decay = decoupled ? 0.f : u.decays[i];
    float *w = u.parameters[i], *m = u.first[i], *v = u.second[i];
    const float* g = u.gradients[i];
#pragma GCC ivdep
    for (Index k = begin; k < end; ++k) {
      const float d = (g[k] + decay * w[k]) * scale;
      m[k] += (d - m[k]) * (1.f - beta1);
      v[k] += (d * d - v[k]) * (1.f - beta2);
      const float mean = nesterov ? m[k] * beta1 + (1.f - beta1) * d : m[k];
      w[k] = w[k] * kept - step * mean / (std::sqrt(v[k]) + eps);
    }
  });
}

// Inputs: the fraction of the difference to take, n averages, n values.
static inline void average(int count, void** p, int* ranks, std::int64_t** shapes) {
  const Index n = (count - 2) / 2;
  float** averages = reinterpret_cast<float**>(p) + 1;
  float** values = averages + n;
  const float fraction = *static_cast<float*>(p[0]);
  for_elements(n, ranks + 1, shapes + 1, [&](Index i, Index begin, Index end) {
    float* a = averages[i];
    const float* v = values[i];
#pragma GCC ivdep
    for (Index k = begin; k < end; ++k) a[k] -= fraction * (a[k] - v[k]);
  });
}

}  // namespace kernels
